"""Walks over facts: who can be reached from an entity along one relation after another.

Shapes: N edges (triples with their inverses), E entities, R relations (inverses included), B
entities to start from.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from storage.datasets.graph import Triples

Body = tuple[int, ...]
"""Relations walked one after another."""
POINTERS_KEPT = 2**28
"""Numbers in memory that say where each entity's edges begin: of as many relations as have room."""
Step = Callable[[int], sparse.csr_matrix]
"""Where a relation leads, as ones. Shape: (E, E)."""


class Walks:
    """The edges of a graph, to be walked on.

    Args:
        edges: Columns h, r, t; a step leads from h to t. Shape: (N, 3).
        num_entities: E.
        num_relations: R.
    """

    def __init__(self, edges: Triples, num_entities: int, num_relations: int) -> None:
        self.edges = np.unique(edges, axis=0)
        self.num_entities = num_entities
        self.num_relations = num_relations
        self._by_relation = self.edges[np.argsort(self.edges[:, 1], kind="stable")]
        build = partial(_matrix, self._by_relation, num_entities)
        self._step: Step = lru_cache(1 + POINTERS_KEPT // num_entities)(build)

    def starts_of(self, relation: int) -> NDArray[np.int64]:
        """Entities from which a relation leads somewhere, in ascending order."""
        return np.unique(_edges_of(self._by_relation, relation)[:, 0])

    def reached(self, start: int, relation: int) -> NDArray[np.int64]:
        """Entities to which a relation leads from one entity, in ascending order."""
        step = self._step(relation)
        first, end = step.indptr[start : start + 2]
        return np.asarray(step.indices[first:end], dtype=np.int64)

    def walk_from(self, starts: NDArray[np.int64]) -> "Walk":
        """Begin at some entities. Shape: (B,)."""
        return Walk(self._step, starts)


class Walk:
    """Walks from the same entities along one body after another.

    What a body begins with is walked once for those that follow on each other and begin alike.
    """

    def __init__(self, step: Step, starts: NDArray[np.int64]) -> None:
        self._step, self._starts = step, starts
        self._begun: dict[Body, sparse.csr_matrix] = {}

    def along(self, body: Body) -> sparse.csr_matrix:
        """Walk along a body, of one relation at least.

        Returns:
            Who is reached, as ones. Shape: (B, E).
        """
        self._begun = {it: reached for it, reached in self._begun.items() if it == body[: len(it)]}
        return self._walked(body)

    def _walked(self, body: Body) -> sparse.csr_matrix:
        if len(body) == 1:
            return self._step(body[0])[self._starts]
        reached = self._beginning(body[:-1]) @ self._step(body[-1])
        reached.data[:] = 1
        return reached

    def _beginning(self, body: Body) -> sparse.csr_matrix:
        if body not in self._begun:
            self._begun[body] = self._walked(body)
        return self._begun[body]


def _edges_of(by_relation: Triples, relation: int) -> Triples:
    first, end = np.searchsorted(by_relation[:, 1], (relation, relation + 1))
    return by_relation[first:end]


def _matrix(by_relation: Triples, num_entities: int, relation: int) -> sparse.csr_matrix:
    heads, _, tails = _edges_of(by_relation, relation).T
    ones = np.ones(len(heads), dtype=np.float32)
    bounds = np.zeros(num_entities + 1, dtype=np.int32)
    bounds[1:] = np.bincount(heads, minlength=num_entities).cumsum()
    return sparse.csr_matrix((ones, tails.astype(np.int32), bounds), (num_entities, num_entities))
