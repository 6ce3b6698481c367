"""Predictions of a finished run: who answers a question, how likely, and what spoke for it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.evaluation.ranking import known_answers
from model.prediction.answers import Answer, AppliedRule, NearFact, PredictedTriple
from model.prediction.completion import expected_questions, most_probable_missing
from model.prediction.evidence import expert_shares
from model.prediction.names import find_entity, find_relation
from model.prediction.nearest_facts import FactIndex
from model.runs.run_folder import RunFolder
from storage.errors import MocmeError

if TYPE_CHECKING:
    from pandas import DataFrame

_TRIPLES_AT_ONCE = 256  # whose evidence is looked at together
_FACTS_OF_AN_ANSWER = 3


class Predictor:
    """Answers questions with a finished run.

    Args:
        run_dir: The run's folder.

    Raises:
        MocmeError: If the run has not finished training.
    """

    def __init__(self, run_dir: Path | str) -> None:
        folder = RunFolder(Path(run_dir))
        self.graph = folder.read_graph()
        self.scoring = folder.read_scoring()
        self._known = known_answers(self.graph, torch.device("cpu"))
        self._facts = FactIndex(self.graph.train, self.graph.num_relations)
        self._entity_row = {entity: row for row, entity in enumerate(self.graph.entities)}
        self._relation_row = {name: row for row, name in enumerate(self.graph.relations)}

    def predict(
        self, *, head: str | None = None, relation: str, tail: str | None = None, k: int = 10
    ) -> "DataFrame":
        """Answer a question, in a table: as `answers`, a row each.

        Returns:
            Columns `entity`, `name`, `probability`, `known`, of the nearest training fact
            `nearest_head`, `nearest_tail`, `similarity`, of the most confident rule `rule` and
            `rule_confidence`, `weight_<modality>` for each, and `expert_weight_<modality>_<number>`
            for each expert of several.
        """
        return _table(self.answers(head=head, relation=relation, tail=tail, k=k))

    def complete(self, relations: Sequence[str] | None = None, k: int = 10) -> "DataFrame":
        """Find what the graph lacks, in a table: as `missing_triples`, a row each.

        Returns:
            Columns `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`, of the
            nearest training fact `nearest_head`, `nearest_tail`, `similarity`, of the most
            confident rule `rule` and `rule_confidence`, `weight_<modality>` for each, and
            `expert_weight_<modality>_<number>` for each expert of several.
        """
        return _table(self.missing_triples(relations, k))

    @torch.inference_mode()
    def answers(
        self, *, head: str | None = None, relation: str, tail: str | None = None, k: int = 10
    ) -> list[Answer]:
        """Answer (head, relation, ?) or (?, relation, tail).

        Args:
            head: Id or name of an entity; give either this or `tail`.
            relation: Id of a relation.
            tail: Id or name of an entity.
            k: Answers wanted.

        Returns:
            At most k answers, the most probable first; known triples are marked.

        Raises:
            MocmeError: If an entity or relation is unknown, not exactly one of head and tail is
                given, or k is below 1.
        """
        if (head is None) == (tail is None):
            raise MocmeError(f"found head {head!r} and tail {tail!r}; allowed: exactly one of them")
        _check_wanted(k)
        asks_for_head = head is None
        named, part = (str(tail), "tail") if asks_for_head else (str(head), "head")
        entity = find_entity(self.graph, named, part)
        index = self._relation_row[find_relation(self.graph, relation)]
        heads = torch.tensor([self._entity_row[entity]])
        question = torch.tensor([index + self.graph.num_relations * asks_for_head])
        odds = self.scoring.log_odds(heads, question)[0]
        known = set(self._known.lookup(heads, question)[1].tolist())
        top = odds.topk(min(k, len(odds)))
        asker = heads.expand(len(top.indices))
        shares = self._shares(asker, question.expand(len(asker)), top.indices)
        pair = (top.indices, asker) if asks_for_head else (asker, top.indices)
        facts = self._nearest(index, *pair, _FACTS_OF_AN_ANSWER)
        rows = top.indices.tolist()
        rules = self._rules(asker, int(question), top.indices)
        ids, names = self.graph.entities, self.graph.names
        return [
            Answer(ids[row], names[row], chance, *share, row in known, near, rule)
            for chance, row, share, near, rule in zip(
                top.values.sigmoid().tolist(), rows, shares, facts, rules, strict=True
            )
        ]

    def missing_triples(
        self, relations: Sequence[str] | None = None, k: int = 10
    ) -> Iterator[PredictedTriple]:
        """Find the k most probable triples of every relation that the graph lacks.

        Questions are asked where an answer is to be expected: see `model.prediction.completion`.

        Args:
            relations: Relation ids; None = all.
            k: Triples per relation.

        Raises:
            MocmeError: If a relation is unknown, or k is below 1.
        """
        _check_wanted(k)
        wanted = self.graph.relations if relations is None else relations
        names = [find_relation(self.graph, name) for name in wanted]
        asked = expected_questions(self.graph)
        for name in names:
            index = self._relation_row[name]
            found = iter(most_probable_missing(self.scoring, asked, self._known, index, k))
            while chunk := list(islice(found, _TRIPLES_AT_ONCE)):
                yield from self._explained(index, chunk)

    def _explained(
        self, relation: int, found: Sequence[tuple[float, int, int]]
    ) -> Iterator[PredictedTriple]:
        """Name triples, (probability, head, tail), and say what spoke for them."""
        heads = torch.tensor([head for _, head, _ in found])
        tails = torch.tensor([tail for _, _, tail in found])
        shares = self._shares(heads, torch.full_like(heads, relation), tails)
        facts = self._nearest(relation, heads, tails, 1)
        rules = self._rules(heads, relation, tails)
        ids, names = self.graph.entities, self.graph.names
        for (chance, head, tail), share, near, rule in zip(
            found, shares, facts, rules, strict=True
        ):
            yield PredictedTriple(
                ids[head],
                names[head],
                self.graph.relations[relation],
                ids[tail],
                names[tail],
                chance,
                *share,
                near,
                rule,
            )

    def _shares(
        self, heads: Tensor, relations: Tensor, answers: Tensor
    ) -> list[tuple[dict[str, float], dict[str, list[float]]]]:
        """Return every answer's shares by modality, and by expert. Shapes: (B,) each."""
        found = expert_shares(self.scoring, heads, relations, answers)
        columns = {name: share.tolist() for name, share in found.items()}
        rows = [
            {name: column[number] for name, column in columns.items()}
            for number in range(len(heads))
        ]
        return [
            (
                {name: sum(weights) for name, weights in row.items()},
                {name: weights for name, weights in row.items() if len(weights) > 1},
            )
            for row in rows
        ]

    def _nearest(
        self, relation: int, heads: Tensor, tails: Tensor, k: int
    ) -> list[tuple[NearFact, ...]]:
        """Return the k training facts most like each triple, of those that are like it at all."""
        found = self._facts.nearest(self.scoring, relation, heads, tails, k)
        columns = (found.heads.tolist(), found.tails.tolist(), found.similarities.tolist())
        return [
            tuple(self._near_fact(*fact) for fact in zip(*rows, strict=True) if fact[-1] > 0)
            for rows in zip(*columns, strict=True)
        ]

    def _rules(self, heads: Tensor, relation: int, answers: Tensor) -> list[AppliedRule | None]:
        """Return the most confident rule that leads to each answer; None where none does."""
        if self.scoring.rules is None:
            return [None] * len(heads)
        names = [*self.graph.relations, *(f"inverse of {it}" for it in self.graph.relations)]
        return [
            found and AppliedRule(tuple(names[step] for step in found[0]), found[1])
            for found in self.scoring.rules.best_rules(heads, relation, answers)
        ]

    def _near_fact(self, head: int, tail: int, similarity: float) -> NearFact:
        ids, names = self.graph.entities, self.graph.names
        return NearFact(ids[head], names[head], ids[tail], names[tail], similarity)


def _check_wanted(k: int) -> None:
    if k < 1:
        raise MocmeError(f"found k {k}; allowed: at least 1")


def _table(found: Iterable[Answer | PredictedTriple]) -> "DataFrame":
    import pandas

    return pandas.DataFrame([it.row() for it in found])
