"""Questions as people ask them, as rows of a graph, and what is wanted in answer to them.

Shapes: R relations (inverses not counted).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from model.prediction.names import find_entity, find_relation
from model.probability.further_answers import FurtherAnswers
from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.words.visible import quoted


@dataclass(frozen=True)
class Question:
    """(head, relation, ?) or (?, relation, tail).

    Attributes:
        head: Id or name of an entity; either this or `tail` is given.
        relation: Id of a relation; None asks for every relation that entities like this one have.
        tail: Id or name of an entity.
    """

    head: str | None = None
    relation: str | None = None
    tail: str | None = None


@dataclass(frozen=True)
class QuestionRow:
    """A question by rows of a graph.

    Attributes:
        entity: Row of the entity that is given.
        relations: Indices of the relations that are asked for, plus R to ask for heads; empty if
            no relation is named and none is to be expected.
    """

    entity: int
    relations: tuple[int, ...]


@dataclass(frozen=True)
class AnswerLimits:
    """Which answers to a question are wanted.

    Attributes:
        k: How many at most, the most probable ones.
        new: Whether known triples are left out.
        min_probability: The lowest that is wanted.
        per_head: Triples of one head and one relation at most; None for any number.

    Raises:
        MocmeError: If a number is out of its bounds.
    """

    k: int = 10
    new: bool = False
    min_probability: float = 0.0
    per_head: int | None = None

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.k < 1:
            raise MocmeError(f"found k {self.k}; allowed: at least 1")
        if not 0 <= self.min_probability <= 1:
            raise MocmeError(
                f"found min_probability {self.min_probability}; allowed: between 0 and 1"
            )
        if self.per_head is not None and self.per_head < 1:
            raise MocmeError(f"found per_head {self.per_head}; allowed: at least 1")


class QuestionFinder:
    """Finds the rows of questions, as fast for thousands as for one.

    Args:
        graph: The graph.
        further: What is to be expected of its questions.
    """

    def __init__(self, graph: Graph, further: FurtherAnswers) -> None:
        self._graph, self._further = graph, further

    @cached_property
    def _entity_rows(self) -> dict[str, int]:
        return {entity: row for row, entity in enumerate(self._graph.entities)}

    @cached_property
    def _relation_rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._graph.relations)}

    @cached_property
    def _rows_by_name(self) -> dict[str, int | None]:
        """The row of every name, without case; None for a name of several entities."""
        rows: dict[str, int | None] = {}
        for row, name in enumerate(self._graph.names):
            folded = name.casefold()
            rows[folded] = None if folded in rows else row
        return rows

    def entity(self, name: str, part: str) -> int:
        """Return the row of an entity, by id or name.

        Raises:
            UnknownNameError: If there is no such entity, or several.
        """
        row = self._entity_rows.get(name)
        if row is None:
            row = self._rows_by_name.get(name.casefold())
        return self._entity_rows[find_entity(self._graph, name, part)] if row is None else row

    def relation(self, name: str) -> int:
        """Return the index of a relation.

        Raises:
            UnknownNameError: If there is no such relation.
        """
        row = self._relation_rows.get(name)
        return self._relation_rows[find_relation(self._graph, name)] if row is None else row

    def row(self, question: Question) -> QuestionRow:
        """Return a question's rows.

        Raises:
            UnknownNameError: If an entity or relation is unknown.
            MocmeError: If not exactly one of head and tail is given.
        """
        head, tail = question.head, question.tail
        if (head is None) == (tail is None):
            raise MocmeError(f"found {_sides(head, tail)}; allowed: exactly one of them")
        entity = self.entity(str(tail), "tail") if head is None else self.entity(head, "head")
        first = 0 if head is not None else self._graph.num_relations
        if question.relation is not None:
            return QuestionRow(entity, (first + self.relation(question.relation),))
        questions = torch.arange(first, first + self._graph.num_relations)
        is_sensible = self._further.is_sensible(torch.full_like(questions, entity), questions)
        return QuestionRow(entity, tuple(questions[is_sensible].tolist()))

    def rows(self, questions: Sequence[Question], first_number: int = 0) -> list[QuestionRow]:
        """Return the rows of several questions.

        Raises:
            MocmeError: As `row`, with the question's number before it.
        """
        found = []
        for number, question in enumerate(questions, start=first_number):
            try:
                found.append(self.row(question))
            except MocmeError as error:
                raise MocmeError(f"question {number}: {error}") from error
        return found

    def is_known(self, name: str, part: str) -> bool:
        """Whether a name is one that `entity` (part `head` or `tail`) or `relation` finds."""
        if part == "relation":
            return name in self._relation_rows
        return name in self._entity_rows or self._rows_by_name.get(name.casefold()) is not None


def _sides(head: str | None, tail: str | None) -> str:
    shown = ("None" if side is None else quoted(side) for side in (head, tail))
    return "head {} and tail {}".format(*shown)
