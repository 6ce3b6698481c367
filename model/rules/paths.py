"""The facts by which a rule leads from one entity to another: who stands in between."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.rules.mining import inverse_of
from model.rules.walks import Body, Walks


class RulePath(NamedTuple):
    """One of the paths along a rule's body.

    Attributes:
        entities: Rows of all entities on it, both ends included.
        num_paths: How many paths there are between those ends.
    """

    entities: tuple[int, ...]
    num_paths: int


def find_path(walks: Walks, body: Body, start: int, end: int) -> RulePath | None:
    """Find a path along a body, through entities that are all different if there is one.

    Where there are several, it is the one whose entities come first in the graph.

    Args:
        walks: The facts.
        body: One to three relations.
        start: Where the path begins.
        end: Where it ends.

    Returns:
        The path; None if the body does not lead there. Paths that pass an entity twice are counted
        where there are no others.
    """
    between = _between(walks, body, start, end)
    if len(between) == 0:
        return None
    ends = np.full((2, len(between)), [[start], [end]])
    paths = np.column_stack([ends[0], between, ends[1]])
    in_order = np.sort(paths, axis=1)
    is_simple = (in_order[:, 1:] != in_order[:, :-1]).all(axis=1)
    chosen = paths[is_simple] if is_simple.any() else paths
    return RulePath(tuple(chosen[0].tolist()), len(chosen))


def _between(walks: Walks, body: Body, start: int, end: int) -> NDArray[np.int64]:
    """Return the entities between the ends of every path. Shape: (num_paths, len(body) - 1)."""
    after = walks.reached(start, body[0])
    if len(body) == 1:
        return np.empty((int(end in after), 0), dtype=np.int64)
    before = walks.reached(end, inverse_of(body[-1], walks.num_relations))
    if len(body) > 2:
        return _steps(walks, body[1], after, before)
    return np.intersect1d(after, before)[:, None]


def _steps(
    walks: Walks, relation: int, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the facts of a relation from some entities to others, in order. Shape: (any, 2)."""
    if len(starts) > len(ends):  # what is fewer is looped over: a hub has thousands
        back = _steps(walks, inverse_of(relation, walks.num_relations), ends, starts)[:, ::-1]
        return back[np.lexsort(back.T[::-1])]
    pairs = [
        (start, end)
        for start in starts.tolist()
        for end in np.intersect1d(walks.reached(start, relation), ends).tolist()
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
