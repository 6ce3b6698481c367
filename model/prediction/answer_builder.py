"""Turns rows of a graph that answer questions into answers with ids, names and evidence.

Shapes: n answers, B triples of one relation, R relations (inverses not counted).
"""

from collections.abc import Iterator, Sequence

import torch

from model.inputs import KnownTails
from model.prediction.answers import Answer, PredictedTriple
from model.prediction.best_answers import FoundAnswers
from model.prediction.evidence import shares_of_triples
from model.prediction.explaining import AskedAnswers, Evidence, Explainer, no_evidence, weights_of
from model.prediction.known_context import KnownContext
from model.prediction.wording import Wording
from model.probability.further_answers import FurtherAnswers
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Graph

_FACTS_OF_AN_ANSWER = 3


class AnswerBuilder:
    """Builds answers and predicted triples from rows of a graph.

    Args:
        graph: The graph.
        known: The triples that stand in it, both ways.
        further: Tells which questions have one answer at most.
    """

    def __init__(self, graph: Graph, known: KnownTails, further: FurtherAnswers) -> None:
        self._graph = graph
        self._context = KnownContext(graph, known, further)
        self._explainer = Explainer(graph)

    @property
    def wording(self) -> Wording:
        """What entities and relations are called."""
        return self._explainer.wording

    @staticmethod
    def answer_columns(scoring: BlockScoring) -> tuple[str, ...]:
        """Return the names of the columns that `Answer.row` has, by any answer of a model."""
        weights, experts, facts, rule = no_evidence(scoring)
        blank = Answer("", "", 0.0, weights, experts, False, facts, rule, "", "", "", "", "")
        return tuple(blank.row())

    @staticmethod
    def triple_columns(scoring: BlockScoring) -> tuple[str, ...]:
        """Return the names of the columns that `PredictedTriple.row` has, as `answer_columns`."""
        return tuple(PredictedTriple("", "", "", "", "", 0.0, *no_evidence(scoring)).row())

    def answers(
        self,
        scoring: BlockScoring,
        found: FoundAnswers,
        *,
        evidence: bool,
        with_paths: bool = False,
    ) -> Iterator[tuple[int, Answer]]:
        """Yield answers, each behind the number of its question.

        Args:
            scoring: The model that found them.
            found: The answers by rows.
            evidence: Whether nearest facts and rules are looked for.
            with_paths: Whether rules come with a path and a sentence.
        """
        reasons = self._reasons(scoring, found, evidence=evidence, with_paths=with_paths)
        columns = (found.questions, found.entities, found.relations, found.answers)
        rows = zip(*(it.tolist() for it in columns), strict=True)
        probabilities = found.probabilities.tolist()
        for (number, *triple), probability, known, reason in zip(
            rows, probabilities, found.known.tolist(), reasons, strict=True
        ):
            yield number, self._answer(triple, probability, known, reason)

    def _answer(
        self, triple: Sequence[int], probability: float, known: bool, reason: Evidence
    ) -> Answer:
        """Return an answer, from the question's entity, what was asked for, and the answer."""
        entity, relation, answer = triple
        ids, names = self._graph.entities, self._graph.names
        num_relations = self._graph.num_relations
        head, tail = (entity, answer) if relation < num_relations else (answer, entity)
        return Answer(
            ids[answer],
            names[answer],
            probability,
            reason.modality_weights,
            reason.expert_weights,
            known,
            reason.nearest_facts,
            reason.rule,
            ids[head],
            names[head],
            self._graph.relations[relation % num_relations],
            ids[tail],
            names[tail],
            self._context.answers(entity, relation),
            () if known else self._context.contradicted(entity, relation, answer),
        )

    @torch.inference_mode()
    def _reasons(
        self, scoring: BlockScoring, found: FoundAnswers, *, evidence: bool, with_paths: bool
    ) -> Sequence[Evidence]:
        """Return what spoke for answers, those of a relation looked at together."""
        reasons: dict[int, Evidence] = {}
        for relation in found.relations.unique().tolist():
            rows = (found.relations == relation).nonzero()[:, 0]
            some = found[rows]
            asked = AskedAnswers(relation, some.entities, some.answers, some.shares)
            if evidence:
                explained = self._explainer.evidence(
                    scoring, asked, _FACTS_OF_AN_ANSWER, with_paths=with_paths
                )
            else:
                weights = weights_of(scoring, asked)
                explained = [Evidence(*of_answer, (), None) for of_answer in weights]
            reasons.update(zip(rows.tolist(), explained, strict=True))
        return [reasons[row] for row in range(len(reasons))]

    @torch.inference_mode()
    def triples(
        self,
        scoring: BlockScoring,
        relation: int,
        found: Sequence[tuple[float, int, int]],
        *,
        in_full: bool = False,
    ) -> list[PredictedTriple]:
        """Return triples of a relation with what spoke for them.

        Args:
            scoring: The model that found them.
            relation: Index, below R.
            found: Probability, head and tail of each, by rows.
            in_full: Whether there are several nearest facts, and rules have a path and a sentence.
        """
        heads = torch.tensor([head for _, head, _ in found])
        tails = torch.tensor([tail for _, _, tail in found])
        shares = shares_of_triples(scoring, heads, relation, tails)
        asked = AskedAnswers(relation, heads, tails, shares)
        num_facts = _FACTS_OF_AN_ANSWER if in_full else 1
        reasons = self._explainer.evidence(scoring, asked, num_facts, with_paths=in_full)
        ids, names = self._graph.entities, self._graph.names
        return [
            PredictedTriple(
                ids[head],
                names[head],
                self._graph.relations[relation],
                ids[tail],
                names[tail],
                probability,
                *reason,
                self._context.answers(head, relation),
            )
            for (probability, head, tail), reason in zip(found, reasons, strict=True)
        ]
