"""Predictions of a finished run: who answers a question, how likely, and what spoke for it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from model.inputs import KnownTails
from model.prediction.answer_builder import AnswerBuilder
from model.prediction.answers import Answer, NumberedAnswer, PredictedTriple, as_table, numbered
from model.prediction.best_answers import FoundAnswers, best_answers
from model.prediction.completion import most_probable_missing
from model.prediction.known_context import standing_tails
from model.prediction.questions import AnswerLimits, Question, QuestionFinder, QuestionRow
from model.prediction.wording import Wording
from model.probability.held_out import calibrated_for
from model.probability.triple_probabilities import Unanswered
from model.runs.run_folder import RunFolder
from storage.datasets.graph import Triples
from storage.datasets.relation_types.stated import relation_types
from storage.datasets.relation_types.statement import Statements

if TYPE_CHECKING:
    from pandas import DataFrame

_TRIPLES_AT_ONCE = 256  # whose evidence is looked at together
_QUESTIONS_AT_ONCE = 4096
_ANSWERS_AT_ONCE = 2**18


class Predictor:
    """Answers questions with a finished run: with its final model, if it has two.

    Triples that are known to be wrong are never among answers or predicted triples: the run's
    negatives, or those given to `leave_out`.

    Args:
        run_dir: The run's folder.
        missing_share: Share of all facts that the graph lacks, above 0 and below 1: no graph tells.
            None takes it to be the share that was held out, or less where that is the most.
        stated: What relations are like, where that is stated; see `mocme relations`.

    Raises:
        MocmeError: If the run has not finished training, or what is stated is not of its graph.
    """

    def __init__(
        self,
        run_dir: Path | str,
        *,
        missing_share: float | None = None,
        stated: Statements = MappingProxyType({}),
    ) -> None:
        folder = RunFolder(Path(run_dir)).answering
        self.graph = folder.read_graph()
        scoring = folder.read_scoring()
        if missing_share is not None:
            calibration = calibrated_for(scoring.calibration, missing_share)
            scoring = replace(scoring, calibration=calibration)
        self.scoring = scoring
        self.relation_types = relation_types(self.graph, stated)

    def leave_out(self, negatives: Triples) -> None:
        """Take other triples to be wrong than those that the run was made with.

        Args:
            negatives: By rows of `graph`. Shape: (num_negatives, 3).
        """
        self.graph = replace(self.graph, negatives=negatives)
        for made_with_negatives in ("_unanswered", "_known"):
            self.__dict__.pop(made_with_negatives, None)

    @cached_property
    def _unanswered(self) -> Unanswered:
        """The model, and what may be asked of it."""
        share = self.scoring.calibration.share_for_features
        return Unanswered.of(self.scoring, self.graph, self.relation_types, share)

    @cached_property
    def _known(self) -> KnownTails:
        """What stands in the graph, and is not known to be wrong, both ways."""
        return standing_tails(self.graph)

    @cached_property
    def questions(self) -> QuestionFinder:
        """Finds the rows of questions."""
        return QuestionFinder(self.graph, self._unanswered.further)

    @cached_property
    def _builder(self) -> AnswerBuilder:
        return AnswerBuilder(self.graph, self._known, self._unanswered.further)

    @property
    def wording(self) -> Wording:
        """What entities, relations and rules are called."""
        return self._builder.wording

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """Names of the columns that answers have in tables and files, even if there are none."""
        return self._builder.answer_columns(self.scoring)

    @property
    def triple_columns(self) -> tuple[str, ...]:
        """Names of the columns that predicted triples have, even if there are none."""
        return self._builder.triple_columns(self.scoring)

    def predict(
        self,
        *,
        head: str | None = None,
        relation: str | None = None,
        tail: str | None = None,
        k: int = 10,
        new: bool = False,
        min_probability: float = 0.0,
        per_head: int | None = None,
    ) -> "DataFrame":
        """Answer a question, in a table: as `answers`, a row each.

        Returns:
            Columns `entity`, `name`, `probability`, `known`, `contradicts` (known triples that
            cannot hold beside it), `known_answers` (to the same question), of the triple `head`,
            `head_name`, `relation`, `tail`, `tail_name`, of the nearest training fact
            `nearest_head`, `nearest_tail`, `similarity`, of the most confident rule `rule` and
            `rule_confidence`, `weight_<modality>` for each, and
            `expert_weight_<modality>_<number>` for each expert of several.
        """
        limits = AnswerLimits(k, new, min_probability, per_head)
        found = self._answers(Question(head, relation, tail), limits)
        return as_table(found, self.answer_columns)

    def predict_many(
        self,
        questions: Iterable[Question],
        *,
        k: int = 10,
        new: bool = False,
        min_probability: float = 0.0,
        per_head: int | None = None,
        evidence: bool = True,
    ) -> "DataFrame":
        """Answer many questions, in a table: as `answers_to`, a row for each answer.

        Returns:
            Columns `question`, the question's number from 0, and those of `predict`.
        """
        limits = AnswerLimits(k, new, min_probability, per_head)
        answered = self._answered(questions, limits, evidence=evidence)
        found = (
            NumberedAnswer(number, answer)
            for number, (_, answers) in enumerate(answered)
            for answer in answers
        )
        return as_table(found, numbered(self.answer_columns))

    def complete(
        self,
        relations: Sequence[str] | None = None,
        k: int = 10,
        *,
        min_probability: float = 0.0,
        per_head: int | None = None,
    ) -> "DataFrame":
        """Find what the graph lacks, in a table: as `missing_triples`, a row each.

        Returns:
            Columns `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`,
            `known_answers` (other tails of the head), and those from `nearest_head` on as
            `predict` has them.
        """
        found = self.missing_triples(
            relations, k, min_probability=min_probability, per_head=per_head
        )
        return as_table(found, self.triple_columns)

    def answers(
        self,
        *,
        head: str | None = None,
        relation: str | None = None,
        tail: str | None = None,
        k: int = 10,
        new: bool = False,
        min_probability: float = 0.0,
        per_head: int | None = None,
    ) -> list[Answer]:
        """Answer (head, relation, ?) or (?, relation, tail).

        Without a relation, every relation is asked for that entities like this one have (see
        `model.prediction.completion`), and the answers to all are ranked together.

        Args:
            head: Id or name of an entity; give either this or `tail`.
            relation: Id of a relation; None for all that are to be expected.
            tail: Id or name of an entity.
            k: Answers wanted.
            new: Whether triples that any split holds are left out, and those of the entity with
                itself. Otherwise the former are marked.
            min_probability: The lowest that is wanted.
            per_head: Answers at most that make triples of the same head and relation.

        Returns:
            At most k answers, the most probable first; none if no relation is given and none is to
            be expected.

        Raises:
            MocmeError: If an entity or relation is unknown, not exactly one of head and tail is
                given, or a number is out of its bounds.
        """
        limits = AnswerLimits(k, new, min_probability, per_head)
        return self._answers(Question(head, relation, tail), limits)

    def _answers(self, question: Question, limits: AnswerLimits) -> list[Answer]:
        found = self._find([self.questions.row(question)], limits)
        return [
            answer
            for _, answer in self._builder.answers(
                self.scoring, found, evidence=True, with_paths=True
            )
        ]

    def answers_to(
        self,
        questions: Iterable[Question],
        *,
        k: int = 10,
        new: bool = False,
        min_probability: float = 0.0,
        per_head: int | None = None,
        evidence: bool = True,
    ) -> Iterator[tuple[Question, list[Answer]]]:
        """Answer many questions, thousands at once, in their order and as they are read.

        Args:
            questions: What is asked; see `answers` of each.
            k: Answers wanted to each question; the other limits apply to each, too.
            new: As in `answers`.
            min_probability: As in `answers`.
            per_head: As in `answers`.
            evidence: Whether nearest facts and rules are looked for, which takes most of the time;
                rules come without paths.

        Yields:
            A question and its answers; no answers are an empty list.

        Raises:
            MocmeError: As `answers`; the message begins with the question's number, from 0.
        """
        limits = AnswerLimits(k, new, min_probability, per_head)
        return self._answered(questions, limits, evidence=evidence)

    def _answered(
        self, questions: Iterable[Question], limits: AnswerLimits, *, evidence: bool
    ) -> Iterator[tuple[Question, list[Answer]]]:
        size = max(1, min(_QUESTIONS_AT_ONCE, _ANSWERS_AT_ONCE // limits.k))
        waiting, number = iter(questions), 0
        while some := list(islice(waiting, size)):
            found = self._find(self.questions.rows(some, number), limits)
            answers: list[list[Answer]] = [[] for _ in some]
            for place, answer in self._builder.answers(self.scoring, found, evidence=evidence):
                answers[place].append(answer)
            yield from zip(some, answers, strict=True)
            number += len(some)

    def _find(self, rows: Sequence[QuestionRow], limits: AnswerLimits) -> FoundAnswers:
        return best_answers(self._unanswered, self.graph, rows, self._known, limits)

    def missing_triples(
        self,
        relations: Sequence[str] | None = None,
        k: int = 10,
        *,
        min_probability: float = 0.0,
        per_head: int | None = None,
        in_full: bool = False,
    ) -> Iterator[PredictedTriple]:
        """Find the k most probable triples of every relation that the graph lacks.

        Questions are asked that may have a further answer: see `model.probability.further_answers`.

        Args:
            relations: Relation ids; None = all.
            k: Triples per relation.
            min_probability: The lowest that is wanted.
            per_head: Triples of a relation at most that have the same head.
            in_full: Whether each has its three nearest facts instead of one, and its rule a path
                and a sentence.

        Raises:
            MocmeError: If a relation is unknown, or a number is out of its bounds.
        """
        limits = AnswerLimits(k, True, min_probability, per_head)
        wanted = self.graph.relations if relations is None else relations
        indices = [self.questions.relation(name) for name in wanted]
        for index in indices:
            triples = most_probable_missing(self._unanswered, index, k, per_head=per_head)
            found = (triple for triple in triples if triple[0] >= limits.min_probability)
            while chunk := list(islice(found, _TRIPLES_AT_ONCE)):
                yield from self._builder.triples(self.scoring, index, chunk, in_full=in_full)
