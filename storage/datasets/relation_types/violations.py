"""Facts of a dataset against what its config states of relations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import SPLITS, Graph, Split, Triples
from storage.datasets.keys import is_among, pack, sorted_distinct
from storage.datasets.relation_types.facts import distinct_facts
from storage.datasets.relation_types.statement import (
    StatedRelationType,
    Statements,
    check_statements,
)
from storage.words.visible import shortened

HEADER = ("relation", "stated", "facts against it")

_MOST_SHOWN = 3  # facts in a row of a table


class Fact(NamedTuple):
    """A fact of a relation.

    Attributes:
        head: Id.
        tail: Id.
        splits: Where it stands.
    """

    head: str
    tail: str
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Violation:
    """Facts that cannot all be true if what is stated is.

    Attributes:
        relation: Id.
        states: What is stated, as `single: true`.
        facts: All tails of a head, all heads of a tail, or one fact by itself.
    """

    relation: str
    states: str
    facts: tuple[Fact, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        facts = [{**it._asdict(), "splits": list(it.splits)} for it in self.facts]
        return {"relation": self.relation, "states": self.states, "facts": facts}


def find_violations(graph: Graph, stated: Statements) -> list[Violation]:
    """Return the facts that violate what is stated, in the order of the statements.

    A fact that is missing violates nothing: neither the reverse of a fact of a symmetric relation,
    nor a loop of a reflexive one. Facts whose stated confidence is below 1/2, and entities of no
    kind, are passed over.

    Args:
        graph: The graph.
        stated: What is stated of some relations.

    Raises:
        RelationTypeError: If the graph lacks a relation or a kind that is stated.
    """
    check_statements(graph, stated)
    if not stated:
        return []
    facts, describe, found = distinct_facts(graph), _FactReader(graph), list[Violation]()
    for relation, statement in stated.items():
        own = facts[facts[:, 1] == graph.relations.index(relation)]
        for states, groups in _groups_against(graph, own, statement):
            found += [Violation(relation, states, describe(group)) for group in groups]
    return found


def rows_of(found: Sequence[Violation]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`."""
    return [(shortened(it.relation), it.states, _facts_in_words(it.facts)) for it in found]


def _facts_in_words(facts: Sequence[Fact]) -> str:
    shown = [
        f"{shortened(it.head)} -> {shortened(it.tail)} ({', '.join(it.splits)})"
        for it in facts[:_MOST_SHOWN]
    ]
    rest = len(facts) - len(shown)
    return "; ".join([*shown, *([f"and {rest:,} more"] if rest else [])])


def _groups_against(
    graph: Graph, facts: Triples, statement: StatedRelationType
) -> Iterator[tuple[str, list[Triples]]]:
    """Yield each property with the groups of one relation's facts that violate it."""
    if statement.single:
        yield "single: true", _groups_of_several(facts, 0)
    if statement.single_head:
        yield "single_head: true", _groups_of_several(facts, 2)
    if statement.reflexive is False:
        yield "reflexive: false", _one_by_one(facts[facts[:, 0] == facts[:, 2]])
    for name, kinds, end in (("domain", statement.domain, 0), ("range", statement.range, 2)):
        if kinds:
            is_other = _are_of_other_kinds(graph, facts[:, end], frozenset(kinds))
            yield f"{name}: {', '.join(kinds)}", _one_by_one(facts[is_other])


def _groups_of_several(facts: Triples, end: int) -> list[Triples]:
    """Return the facts of each entity at one end that has more than one."""
    ordered = facts[np.argsort(facts[:, end], kind="stable")]
    starts = np.flatnonzero(np.diff(ordered[:, end])) + 1
    return [group for group in np.split(ordered, starts) if len(group) > 1]


def _one_by_one(facts: Triples) -> list[Triples]:
    return [facts[place : place + 1] for place in range(len(facts))]


def _are_of_other_kinds(
    graph: Graph, entities: NDArray[np.int64], kinds: frozenset[str]
) -> NDArray[np.bool_]:
    """Return which entities have kinds, and none of these. Shape: that of `entities`."""
    found = [graph.kinds[entity] for entity in entities.tolist()]
    return np.array([bool(it) and kinds.isdisjoint(it) for it in found], dtype=np.bool_)


class _FactReader:
    """Names facts and the splits that they stand in.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._keys = {split: sorted_distinct(self._packed(graph.split(split))) for split in SPLITS}

    def __call__(self, facts: Triples) -> tuple[Fact, ...]:
        """Return facts by name. Shape of `facts`: (num_facts, 3)."""
        keys, entities = self._packed(facts), self._graph.entities
        stands = {split: is_among(keys, among) for split, among in self._keys.items()}
        return tuple(
            Fact(entities[head], entities[tail], tuple(it for it in SPLITS if stands[it][place]))
            for place, (head, _, tail) in enumerate(facts.tolist())
        )

    def _packed(self, triples: Triples) -> NDArray[np.int64]:
        return pack(triples, self._graph.num_entities, self._graph.num_relations)
