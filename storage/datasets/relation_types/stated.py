"""What is stated of relations goes before what is learned."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from storage.datasets.graph import Graph
from storage.datasets.relation_types.learning import learn_relation_types
from storage.datasets.relation_types.relation_type import NumAnswers, Property, RelationType
from storage.datasets.relation_types.statement import (
    StatedRelationType,
    Statements,
    check_statements,
)


def relation_types(graph: Graph, stated: Statements) -> tuple[RelationType, ...]:
    """Return what each relation is like: as stated, else as learned from all facts.

    Args:
        graph: The graph.
        stated: What is stated of some relations.

    Returns:
        One for each relation, in the graph's order.

    Raises:
        RelationTypeError: If the graph lacks a relation or a kind that is stated.
        OverflowError: See `learn_relation_types`.
    """
    check_statements(graph, stated)
    whole = _with_inverses(stated)
    return tuple(
        _as_stated(learned, whole[learned.relation]) if learned.relation in whole else learned
        for learned in learn_relation_types(graph)
    )


def _with_inverses(stated: Statements) -> dict[str, StatedRelationType]:
    """Add that the inverse of a relation has it as its inverse, where that states no other."""
    whole = dict(stated)
    for relation, statement in stated.items():
        other = statement.inverse_of
        if other is not None:
            known = whole.get(other, StatedRelationType())
            if known.inverse_of is None:
                whole[other] = known.model_copy(update={"inverse_of": relation})
    return whole


def _as_stated(learned: RelationType, statement: StatedRelationType) -> RelationType:
    values: dict[Property, Any] = dict(_stated_values(learned, statement))
    return replace(learned, **values, stated=frozenset(values))


def _stated_values(
    learned: RelationType, statement: StatedRelationType
) -> Iterator[tuple[Property, Any]]:
    if statement.single is not None:
        yield "tails_per_head", _number(learned.tails_per_head, statement.single)
    if statement.single_head is not None:
        yield "heads_per_tail", _number(learned.heads_per_tail, statement.single_head)
    optional: tuple[Property, ...] = ("symmetric", "reflexive", "inverse_of")
    for name in optional:
        if (value := getattr(statement, name)) is not None:
            yield name, value
    several: tuple[Property, ...] = ("domain", "range")
    for name in several:
        if kinds := getattr(statement, name):
            yield name, kinds


def _number(learned: NumAnswers, is_single: bool) -> NumAnswers:
    """Return a stated number of answers; of more than one, few or many as learned."""
    if is_single:
        return "single"
    return learned if learned in ("few", "many") else "few"
