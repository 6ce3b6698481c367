"""Walks over facts: who can be reached from an entity along one relation after another.

Shapes: N edges (triples with their inverses), E entities, R relations (inverses included), B
entities to start from.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from storage.datasets.graph import Triples

Body = tuple[int, ...]
"""Relations walked one after another."""


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
        by_relation = self.edges[np.argsort(self.edges[:, 1], kind="stable")]
        bounds = np.searchsorted(by_relation[:, 1], np.arange(num_relations + 1))
        self._steps = [
            _matrix(by_relation[first:end, 0], by_relation[first:end, 2], num_entities)
            for first, end in pairwise(bounds)
        ]

    @property
    def num_relations(self) -> int:
        """R."""
        return len(self._steps)

    def starts_of(self, relation: int) -> NDArray[np.int64]:
        """Entities from which a relation leads somewhere, in ascending order."""
        return np.flatnonzero(np.diff(self._steps[relation].indptr))

    def walk_from(self, starts: NDArray[np.int64]) -> "Walk":
        """Begin at some entities. Shape: (B,)."""
        return Walk(self._steps, starts)


class Walk:
    """Walks from the same entities along one body after another.

    What a body begins with is walked once for those that follow on each other and begin alike.
    """

    def __init__(self, steps: list[sparse.csr_matrix], starts: NDArray[np.int64]) -> None:
        self._steps, self._starts = steps, starts
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
            return self._steps[body[0]][self._starts]
        reached = self._beginning(body[:-1]) @ self._steps[body[-1]]
        reached.data[:] = 1
        return reached

    def _beginning(self, body: Body) -> sparse.csr_matrix:
        if body not in self._begun:
            self._begun[body] = self._walked(body)
        return self._begun[body]


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], size: int) -> sparse.csr_matrix:
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(size, size))
