"""Learns from a graph's facts what its relations are like."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from storage.datasets.graph import Graph, Triples
from storage.datasets.relation_types.credible import (
    Counts,
    are_exceptions,
    are_undecided,
    lower_bound,
    upper_bound,
)
from storage.datasets.relation_types.domains import find_kinds, find_sides, membership
from storage.datasets.relation_types.facts import (
    Members,
    count_reversed,
    distinct_facts,
    members_of,
)
from storage.datasets.relation_types.relation_type import (
    NumAnswers,
    RelationEvidence,
    RelationType,
)

_MOST_OF_FEW = 10  # answers, in the mean
_BOTH_WAYS = 0.5  # of the pairs; so many stand both ways where a third of all facts is missing


def learn_relation_types(graph: Graph) -> tuple[RelationType, ...]:
    """Learn what each relation is like, from the distinct facts of all splits.

    Too few facts yield "unknown", None or empty tuples, see `credible`: a relation whose heads
    have one tail each is `single` from 18 heads on, and stays so with 3% of exceptions. Facts whose
    stated confidence is below 1/2 count for nothing.

    Args:
        graph: The graph.

    Returns:
        One for each relation, in the graph's order.

    Raises:
        OverflowError: If the graph has so many entities and relations that 63 bits are too few.
    """
    facts, number = distinct_facts(graph), graph.num_relations
    heads, tails = (members_of(facts, end, graph.num_entities) for end in (0, 2))
    reversed_facts = count_reversed(facts, graph.num_entities, number)
    counts = _count(facts, heads, tails, reversed_facts.diagonal() // 2)
    num_facts, num_loops = counts["num_facts"], counts["num_loops"]
    takes_part = membership(heads, tails, graph)
    kinds, sides = find_kinds(takes_part, graph), find_sides(takes_part, graph)
    columns = {
        "relation": graph.relations,
        "tails_per_head": _number_of_answers(
            counts["heads_with_several"], counts["num_heads"], num_facts
        ),
        "heads_per_tail": _number_of_answers(
            counts["tails_with_several"], counts["num_tails"], num_facts
        ),
        "symmetric": _symmetric(counts["pairs_both_ways"], counts["num_pairs"]),
        "reflexive": _reflexive(num_loops, counts["num_heads"]),
        "inverse_of": _inverses(graph, reversed_facts, num_facts - num_loops),
        "domain": kinds[:number],
        "range": kinds[number:],
        "heads_are": sides[:number],
        "tails_are": sides[number:],
        "evidence": [RelationEvidence(**row) for row in _rows(counts)],
    }
    return tuple(RelationType(**row) for row in _rows(columns))


def _count(facts: Triples, heads: Members, tails: Members, both_ways: Counts) -> dict[str, Counts]:
    """Return the fields of `RelationEvidence`, of all relations. Shape of each: (num_relations,).

    Args:
        facts: Distinct. Shape: (num_facts, 3).
        heads: Their heads.
        tails: Their tails.
        both_ways: Unordered pairs that stand both ways. Shape: (num_relations,).
    """
    number = len(both_ways)
    loops = facts[facts[:, 0] == facts[:, 2]]
    num_facts, num_loops = (_by_relation(it[:, 1], number) for it in (facts, loops))
    return {
        "num_facts": num_facts,
        "num_heads": _by_relation(heads.relations, number),
        "num_tails": _by_relation(tails.relations, number),
        "heads_with_several": _by_relation(heads.relations[heads.num_answers > 1], number),
        "tails_with_several": _by_relation(tails.relations[tails.num_answers > 1], number),
        "num_pairs": num_facts - num_loops - both_ways,
        "pairs_both_ways": both_ways,
        "num_loops": num_loops,
    }


def _rows(columns: Mapping[str, Sequence[Any] | Counts]) -> Iterator[dict[str, Any]]:
    """Yield the values of each relation by the columns' names."""
    lists = [it.tolist() if isinstance(it, np.ndarray) else it for it in columns.values()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True))


def _by_relation(relations: NDArray[np.int64], num_relations: int) -> Counts:
    return np.bincount(relations, minlength=num_relations).astype(np.int64)


def _number_of_answers(several: Counts, total: Counts, num_facts: Counts) -> list[NumAnswers]:
    """Say how many answers the members of a side have. Length: num_relations."""
    mean = num_facts / np.maximum(1, total)
    cases = [are_exceptions(several, total), are_undecided(several, total), mean <= _MOST_OF_FEW]
    found: list[NumAnswers] = np.select(cases, ["single", "unknown", "few"], "many").tolist()
    return found


def _symmetric(both_ways: Counts, num_pairs: Counts) -> list[bool | None]:
    """Say whether most pairs stand both ways. Length: num_relations."""
    is_so = lower_bound(both_ways, num_pairs) > _BOTH_WAYS
    is_not = upper_bound(both_ways, num_pairs) < _BOTH_WAYS
    return _decided(is_so, is_not)


def _reflexive(num_loops: Counts, num_heads: Counts) -> list[bool | None]:
    """Say whether most heads are related to themselves, or none but noise. Length: see there."""
    is_so = lower_bound(num_loops, num_heads) > _BOTH_WAYS
    return _decided(is_so, are_exceptions(num_loops, num_heads))


def _decided(is_so: NDArray[np.bool_], is_not: NDArray[np.bool_]) -> list[bool | None]:
    return [
        True if so else False if no else None
        for so, no in zip(is_so.tolist(), is_not.tolist(), strict=True)
    ]


def _inverses(
    graph: Graph, reversed_facts: sparse.csr_array, num_facts: Counts
) -> list[str | None]:
    """Return of each relation the other one whose facts are most nearly the reverse of its own.

    Most of the facts of either must have their reverse in the other one, as for `_symmetric`.

    Args:
        graph: The graph.
        reversed_facts: See `count_reversed`.
        num_facts: Facts that are no loops. Shape: (num_relations,).
    """
    found = reversed_facts.tocoo()
    ones, others, shared = found.row, found.col, found.data
    union = num_facts[ones] + num_facts[others] - shared
    bounds = np.where(ones == others, 0.0, lower_bound(shared, union))
    inverses: list[str | None] = [None] * graph.num_relations
    for place in np.argsort(bounds, kind="stable").tolist():  # the best comes last
        if bounds[place] > _BOTH_WAYS:
            inverses[ones[place]] = graph.relations[others[place]]
    return inverses
