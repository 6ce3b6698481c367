"""What the heads and the tails of relations are: of which kinds, and what else they take part in.

Sides are numbered like questions: r is the heads of relation r, num_relations + r its tails.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from storage.datasets.graph import Graph
from storage.datasets.relation_types.credible import NOISE, lower_bound
from storage.datasets.relation_types.facts import Members
from storage.datasets.relation_types.relation_type import RelationSide

_LEAST_COVERED = 0.75  # of a side's members, credibly: 7 of 7 are enough
_MOST_OF_OTHERS = 0.1  # of the other entities take part in a side that says what members are
_MOST_LOOKED_AT = 2_000  # members of a side; more would not make a bound much narrower
_MOST_NAMED = 3  # kinds or sides that say what members are; more say little


def membership(heads: Members, tails: Members, graph: Graph) -> sparse.csc_array:
    """Return which entity takes part in which side. Shape: (num_entities, 2 * num_relations)."""
    entities = np.concatenate([heads.entities, tails.entities])
    sides = np.concatenate([heads.relations, graph.num_relations + tails.relations])
    shape = graph.num_entities, 2 * graph.num_relations
    return sparse.csc_array((np.ones(len(entities), np.int64), (entities, sides)), shape=shape)


def _sample(takes_part: sparse.csc_array) -> sparse.csc_array:
    """Return so many members of each side as are looked at, evenly spaced. Shape: as given."""
    sizes = np.diff(takes_part.indptr)
    rank = np.arange(takes_part.nnz) - np.repeat(takes_part.indptr[:-1], sizes)
    step = np.repeat(-(-sizes // _MOST_LOOKED_AT), sizes)
    is_sampled = rank % step == 0
    starts = np.concatenate([[0], np.cumsum(is_sampled)])[takes_part.indptr]
    entities = takes_part.indices[is_sampled]
    return sparse.csc_array(
        (np.ones(len(entities), np.int64), entities, starts), shape=takes_part.shape
    )


def find_kinds(takes_part: sparse.csc_array, graph: Graph) -> list[tuple[str, ...]]:
    """Return the kinds that cover each side: at least 97% of its members are of one of them.

    Members of no kind say nothing. Kinds are taken one by one: the rarest that covers what is left,
    else the one that covers most of it. More than three, or too few members: none.

    Args:
        takes_part: See `membership`.
        graph: The graph.

    Returns:
        Of each side. Length: 2 * num_relations.
    """
    if not graph.kinds:
        return [()] * takes_part.shape[1]
    names, is_of = _kind_table(graph)
    sizes = is_of.sum(axis=0)
    has_kind = np.diff(is_of.indptr) > 0
    sample = _sample(takes_part)
    return [
        tuple(names[kind] for kind in _covering(is_of[members[has_kind[members]]], sizes))
        for members in np.split(sample.indices, sample.indptr[1:-1])
    ]


def _kind_table(graph: Graph) -> tuple[list[str], sparse.csr_array]:
    """Return all kinds, and which entity is of which. Shape: (num_entities, num_kinds)."""
    column_of = {kind: column for column, kind in enumerate(dict.fromkeys(_flat(graph)))}
    columns = np.array([column_of[kind] for kind in _flat(graph)], dtype=np.int64)
    counts = np.array([len(kinds) for kinds in graph.kinds], dtype=np.int64)
    rows = np.repeat(np.arange(graph.num_entities), counts)
    shape = graph.num_entities, len(column_of)
    table = sparse.csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=shape)
    return list(column_of), table


def _flat(graph: Graph) -> list[str]:
    return [kind for kinds in graph.kinds for kind in kinds]


def _covering(is_of: sparse.csr_array, sizes: NDArray[np.int64]) -> list[int]:
    """Return kinds that cover entities; none if three do not, or there are too few entities.

    Args:
        is_of: Which entity is of which kind. Shape: (num_members, num_kinds).
        sizes: Entities of each kind in the whole graph. Shape: (num_kinds,).
    """
    total, left, chosen = is_of.shape[0], is_of, list[int]()
    most_left = int(NOISE * total)
    if lower_bound(np.array([total - most_left]), np.array([total]))[0] < _LEAST_COVERED:
        return []
    while left.shape[0] > most_left:
        if len(chosen) == _MOST_NAMED:
            return []
        gains = left.sum(axis=0)
        covers_rest = np.flatnonzero(gains >= left.shape[0] - most_left)
        best = covers_rest[np.argmin(sizes[covers_rest])] if len(covers_rest) else gains.argmax()
        chosen.append(int(best))
        left = left[left[:, [best]].toarray().ravel() == 0]
    return chosen


def find_sides(takes_part: sparse.csc_array, graph: Graph) -> list[tuple[RelationSide, ...]]:
    """Return the sides of other relations that nearly all members of a side are on, and few others.

    At least 75% of the members, credibly, and at most a tenth of all other entities that have
    facts. Of many such sides the three are returned that the fewest others take part in.

    Args:
        takes_part: See `membership`.
        graph: The graph.

    Returns:
        Of each side. Length: 2 * num_relations.
    """
    sizes = np.diff(takes_part.indptr).astype(np.int64)
    sample = _sample(takes_part)
    num_sampled = np.diff(sample.indptr).astype(np.int64)
    num_active = np.count_nonzero(np.bincount(takes_part.indices))
    both = (sample.T @ takes_part).tocoo()
    sides, others, inside = both.row, both.col, both.data
    num_others = num_active - sizes[sides]
    outside = sizes[others] - inside * sizes[sides] / num_sampled[sides]
    is_another = sides % graph.num_relations != others % graph.num_relations
    mask = is_another & (num_others > 0) & (outside <= _MOST_OF_OTHERS * num_others)
    mask &= inside >= _LEAST_COVERED * num_sampled[sides]  # spares the bound of most pairs
    sides, others, inside, outside = (it[mask] for it in (sides, others, inside, outside))
    enough = lower_bound(inside, num_sampled[sides]) >= _LEAST_COVERED
    order = np.lexsort((others, -inside, outside))
    found: list[list[RelationSide]] = [[] for _ in sizes]
    for place in order[enough[order]].tolist():
        if len(chosen := found[sides[place]]) < _MOST_NAMED:
            chosen.append(_named(int(others[place]), graph))
    return [tuple(chosen) for chosen in found]


def _named(side: int, graph: Graph) -> RelationSide:
    number = graph.num_relations
    return RelationSide(graph.relations[side % number], "head" if side < number else "tail")
