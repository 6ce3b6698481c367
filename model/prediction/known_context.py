"""What a graph states beside an answer: other answers to its question, and what it contradicts."""

import numpy as np
import torch
from torch import Tensor

from model.inputs import KnownTails, with_inverses
from model.probability.further_answers import FurtherAnswers, known_triples
from storage.datasets.audit import triple_keys
from storage.datasets.graph import Graph
from storage.datasets.keys import is_among

MOST_LISTED = 5
"""Known answers that are listed beside an answer."""


def standing_tails(graph: Graph) -> KnownTails:
    """Return what stands in any split of a graph and is not known to be wrong, both ways."""
    known, size = known_triples(graph), graph.num_relations
    wrong = np.unique(triple_keys(graph, graph.negatives))
    stands = known[~is_among(triple_keys(graph, known), wrong)]
    return KnownTails(with_inverses(stands, size), 2 * size, torch.device("cpu"))


class KnownContext:
    """Looks up what is known beside answers.

    Args:
        graph: Ids and relations.
        known: The triples that stand in the graph, both ways.
        further: Tells which questions have one answer at most.
    """

    def __init__(self, graph: Graph, known: KnownTails, further: FurtherAnswers) -> None:
        self._graph, self._known, self._further = graph, known, further
        self._found: dict[tuple[int, int], list[int]] = {}

    def answers(self, entity: int, question: int) -> tuple[str, ...]:
        """Return ids of known answers to a question, not more than `MOST_LISTED`.

        Args:
            entity: Row of the entity that is asked about.
            question: The relation's index, plus R to ask for heads.
        """
        return tuple(self._graph.entities[row] for row in self._rows(entity, question))

    def contradicted(
        self, entity: int, question: int, answer: int
    ) -> tuple[tuple[str, str, str], ...]:
        """Return the known triples that an answer contradicts, by ids of head, relation and tail.

        Those are the other answers to a question that has one at most, whichever end it asks for.

        Args:
            entity: Row of the entity that is asked about.
            question: The relation's index, plus R to ask for heads.
            answer: Row of the answer.
        """
        sides = ((entity, question, answer), (answer, self._further.opposite(question), entity))
        found = (
            self._triple(one, asked, row)
            for one, asked, other in sides
            if self._further.is_single[asked]
            for row in self._rows(one, asked)
            if row != other
        )
        return tuple(dict.fromkeys(found))

    def _triple(self, entity: int, question: int, answer: int) -> tuple[str, str, str]:
        ids, size = self._graph.entities, self._graph.num_relations
        head, tail = (entity, answer) if question < size else (answer, entity)
        return ids[head], self._graph.relations[question % size], ids[tail]

    def _rows(self, entity: int, question: int) -> list[int]:
        asked = (entity, question)
        if asked not in self._found:
            rows: Tensor = self._known.lookup(torch.tensor([entity]), torch.tensor([question]))[1]
            self._found[asked] = np.unique(rows.numpy())[:MOST_LISTED].tolist()
        return self._found[asked]
