"""Triples that a dataset states twice: to be true, in a split, and to be wrong."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from storage.datasets.audit import triple_keys
from storage.datasets.graph import SPLITS, Graph
from storage.datasets.keys import is_among
from storage.words.visible import shortened

HEADER = ("head", "relation", "tail", "stands in")


class Contradiction(NamedTuple):
    """A negative that splits state to be true.

    Attributes:
        head: Id.
        relation: Id.
        tail: Id.
        splits: Names of the splits.
    """

    head: str
    relation: str
    tail: str
    splits: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**self._asdict(), "splits": list(self.splits)}


def find_contradictions(graph: Graph) -> list[Contradiction]:
    """Return the negatives that a split states to be true, in the order of the negatives."""
    keys = triple_keys(graph, graph.negatives)
    stands = [is_among(keys, np.unique(triple_keys(graph, graph.split(it)))) for it in SPLITS]
    places = np.flatnonzero(np.any(stands, axis=0))
    return [
        Contradiction(
            graph.entities[head],
            graph.relations[relation],
            graph.entities[tail],
            tuple(split for split, among in zip(SPLITS, stands, strict=True) if among[place]),
        )
        for place, (head, relation, tail) in zip(
            places.tolist(), graph.negatives[places].tolist(), strict=True
        )
    ]


def rows_of(found: Sequence[Contradiction]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`."""
    return [(*map(shortened, it[:3]), ", ".join(it.splits)) for it in found]
