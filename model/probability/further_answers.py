"""Whether a question has answers that a graph lacks, and how many.

A question with known answers has further ones as far as questions of its relation do (see
`model.probability.cardinality`). Of a question without any, the answers may be missing, or the
entity does not take part in the relation (see `model.probability.participation`): of entities like
it, a share q takes part in it as far as is known, and of all that do a share `l` has lost every
answer, so there are answers with the chance q / (1 - q) * l / (1 - l).

Shapes: E entities, R relations (inverses not counted), B questions.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.probability.cardinality import MOST_KNOWN, fit_cardinality
from model.probability.participation import (
    Participation,
    count_answers,
    features_of,
    fit_participation,
    kind_features,
)
from storage.datasets.graph import SPLITS, Graph, Triples
from storage.errors import MocmeError

WORTH_ASKING = 0.01
"""Chance of a further answer below which a question is not asked when a graph is completed."""
_SMALLEST = 1e-9  # chance of a further answer


class Further(NamedTuple):
    """What is to be expected of some questions.

    Attributes:
        chance: Of a further answer, above 0. Shape: (B,), float64.
        number: Expected number of further answers, at least that. Shape: (B,), float64.
    """

    chance: Tensor
    number: Tensor


def known_triples(graph: Graph) -> Triples:
    """Return the distinct triples of all splits. Shape: (n, 3)."""
    return np.unique(np.concatenate([graph.split(name) for name in SPLITS]), axis=0)


def share_held_out(graph: Graph) -> float:
    """Return the share of a graph's triples that train lacks, within 0.01 to 0.9."""
    num_known = len(known_triples(graph))
    num_trained = len(np.unique(graph.train, axis=0))
    return float(np.clip(1 - num_trained / max(num_known, 1), 0.01, 0.9))


def learn_participation(graph: Graph, triples: Triples) -> Tensor:
    """Fit who takes part in what; see `fit_participation`.

    Args:
        graph: Says how many entities and relations there are, and of what kinds.
        triples: Distinct triples, what is known. Shape: (n, 3).
    """
    num_answers = count_answers(triples, graph.num_entities, graph.num_relations)
    features = features_of(num_answers, kind_features(graph))
    return fit_participation(features)


class FurtherAnswers:
    """What is to be expected of every question of a graph.

    Args:
        graph: Says how many entities and relations there are, and of what kinds.
        triples: Distinct triples, what is known. Shape: (n, 3).
        participation: Of `learn_participation`.
        is_single: Which questions have one answer at most. Shape: (2R,).
        missing_share: Share of all facts that is not known, above 0 and below 1.

    Raises:
        MocmeError: If the share is out of its bounds.
    """

    def __init__(
        self,
        graph: Graph,
        triples: Triples,
        participation: Tensor,
        is_single: NDArray[np.bool_],
        missing_share: float,
    ) -> None:
        if not 0 < missing_share < 1:
            raise MocmeError(f"found missing_share {missing_share}; allowed: above 0 and below 1")
        self.is_single, self.missing_share = is_single, missing_share
        self._num_answers = count_answers(triples, graph.num_entities, graph.num_relations)
        self._by_question = self._num_answers.tocsc()
        features = features_of(self._num_answers, kind_features(graph))
        self._participation = Participation(features, participation)
        self._cardinality = fit_cardinality(self._num_answers, missing_share, is_single)

    @property
    def num_questions(self) -> int:
        """2R."""
        return len(self.is_single)

    def of(self, entities: Tensor, questions: Tensor) -> Further:
        """Tell what is to be expected of questions.

        Args:
            entities: Which are asked about. Shape: (B,).
            questions: The relation of each, plus R to ask for heads. Shape: (B,).
        """
        rows, columns = (np.array(it.cpu()) for it in (entities, questions))
        num_known = self._num_known(rows, columns)
        chance, number = self._without_answers(rows, columns)
        told = self._cardinality
        places = np.minimum(num_known, MOST_KNOWN) - 1
        chance = np.where(num_known > 0, told.has_further[columns, places], chance)
        number = np.where(num_known > 0, told.num_further[columns, places], number)
        known_too_many = num_known >= MOST_KNOWN
        odds_missing = self.missing_share / (1 - self.missing_share)
        chance = np.where(known_too_many & ~self.is_single[columns], 1.0, chance)
        number = np.where(known_too_many, num_known * odds_missing, number)
        chance = np.clip(chance, _SMALLEST, 1.0)
        number = np.maximum(number, chance)
        return Further(*(torch.from_numpy(it).to(entities.device) for it in (chance, number)))

    def _num_known(
        self, entities: NDArray[np.int64], questions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return how many answers to questions are known. Shapes: (B,), (B,) -> (B,)."""
        if not len(entities):  # which scipy answers with a matrix
            return np.zeros(0, dtype=np.int64)
        return np.asarray(self._num_answers[entities, questions]).reshape(-1)

    def _without_answers(
        self, entities: NDArray[np.int64], questions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the chance and the number of answers where none is known. (B,), (B,)."""
        known = self._participation.chances(entities, questions)
        lost = self._cardinality.share_lost[questions]
        chance = np.minimum(known / (1 - known) * lost / (1 - lost), 1.0)
        return chance, chance * self._cardinality.num_lost[questions]

    def worth_asking(self, question: int) -> Tensor:
        """Return the entities of which a question is worth asking, in ascending order. (any,)."""
        entities = torch.arange(self._num_answers.shape[0])
        further = self.of(entities, torch.full_like(entities, question))
        return entities[further.chance >= WORTH_ASKING]

    def is_sensible(self, entities: Tensor, questions: Tensor) -> Tensor:
        """Tell which questions have answers, or may have. Shapes: (B,), (B,) -> (B,), bool."""
        rows, columns = (np.array(it.cpu()) for it in (entities, questions))
        has_answers = self._num_known(rows, columns) > 0
        is_asked = self.of(entities, questions).chance >= WORTH_ASKING
        return is_asked | torch.from_numpy(has_answers).to(entities.device)

    def is_closed(self, question: int) -> NDArray[np.bool_] | None:
        """Tell which entities have the only answer that a question has; None if none can. (E,)."""
        if not self.is_single[question]:
            return None
        closed = np.zeros(self._num_answers.shape[0], dtype=np.bool_)
        start, end = self._by_question.indptr[question : question + 2]
        closed[self._by_question.indices[start:end]] = True
        return closed

    def opposite(self, question: int) -> int:
        """Return the question that asks for the other end of the same relation."""
        return (question + self.num_questions // 2) % self.num_questions
