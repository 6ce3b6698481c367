"""What a user states of relations, which goes before what is learned."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from storage.datasets.graph import Graph
from storage.datasets.relation_types.learning import learn_relation_types
from storage.datasets.relation_types.relation_type import NumAnswers, Property, RelationType
from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted, visible_line

_MOST_LISTED = 20  # names in a message


class RelationTypeError(MocmeError):
    """A statement about a relation that does not fit the graph."""


class StatedRelationType(BaseModel):
    """What is stated of one relation; what is not stated is learned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    single: bool | None = Field(
        None, description="Whether a head has one tail at most, as a country has one capital."
    )
    single_head: bool | None = Field(
        None, description="Whether a tail has one head at most, as a capital has one country."
    )
    symmetric: bool | None = Field(
        None, description="Whether the reverse of every fact is true, too, as for borders."
    )
    reflexive: bool | None = Field(
        None, description="Whether entities are related to themselves; false = never."
    )
    inverse_of: str | None = Field(
        None, description="The relation whose facts are the reverse of this one's."
    )
    domain: tuple[str, ...] = Field(
        (), description="Kinds of the heads; each head with a kind is of one of them."
    )
    range: tuple[str, ...] = Field(
        (), description="Kinds of the tails; each tail with a kind is of one of them."
    )


Statements = Mapping[str, StatedRelationType]
"""What is stated, by relation."""


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


def check_statements(graph: Graph, stated: Statements) -> None:
    """Refuse statements about relations and kinds that a graph does not have.

    Raises:
        RelationTypeError: If there is one; it names what is near.
    """
    kinds = list(dict.fromkeys(chain.from_iterable(graph.kinds))) if stated else []
    for relation, statement in stated.items():
        _check_known("", relation, graph.relations, "relations of the dataset")
        place = f".{relation}"
        inverse = statement.inverse_of
        if inverse is not None:
            others = [it for it in graph.relations if it != relation]
            _check_known(f"{place}.inverse_of", inverse, others, "other relations of the dataset")
        for end in ("domain", "range"):
            for kind in getattr(statement, end):
                _check_known(f"{place}.{end}", kind, kinds, "kinds of its entities")


def _check_known(place: str, found: str, known: Sequence[str], what: str) -> None:
    if found in known:
        return
    listed = ", ".join(map(quoted, known[:_MOST_LISTED])) or "none here"
    more = f" and {len(known) - _MOST_LISTED} more" * (len(known) > _MOST_LISTED)
    raise RelationTypeError(
        visible_line(
            f"'relation_types{place}': found {quoted(found)}{did_you_mean(found, known)}; "
            f"allowed: {what}: {listed}{more}"
        )
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
