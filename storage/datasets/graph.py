"""The graph as arrays of indices: the one form in which triples travel between the packages."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Triples = NDArray[np.int64]
"""Triples as indices. Shape: (num_triples, 3); columns head, relation, tail."""


@dataclass(frozen=True)
class Graph:
    """Entities, relations and the three splits of a knowledge graph.

    Attributes:
        entities: Entity ids; the order is the row order of every array about entities.
        names: What a person calls each entity. Same length as `entities`.
        relations: Relation ids, in index order.
        train: Triples to learn from. Shape: (num_train, 3).
        valid: Triples to select on. Shape: (num_valid, 3).
        test: Triples to report on. Shape: (num_test, 3).
    """

    entities: tuple[str, ...]
    names: tuple[str, ...]
    relations: tuple[str, ...]
    train: Triples
    valid: Triples
    test: Triples

    @property
    def num_entities(self) -> int:
        """Number of entities, with or without triples."""
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        """Number of relations as given; inverse relations are the model's affair."""
        return len(self.relations)

    def split(self, name: Split) -> Triples:
        """Return the triples of one split. Shape: (num_triples, 3)."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    @cached_property
    def seen_in_training(self) -> NDArray[np.bool_]:
        """Whether an entity occurs in a training triple. Shape: (num_entities,)."""
        seen = np.zeros(self.num_entities, dtype=np.bool_)
        seen[self.train[:, [0, 2]].ravel()] = True
        return seen

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the graph, in hex."""
        state = hashlib.sha256()
        for strings in (self.entities, self.names, self.relations):
            _feed_strings(state, strings)
        for split in SPLITS:
            state.update(np.ascontiguousarray(self.split(split)).tobytes() + b"|")
        return state.hexdigest()


def _feed_strings(state: "hashlib._Hash", strings: Iterable[str]) -> None:
    """Feed strings length-first, so that no two lists of strings read alike."""
    for string in strings:
        encoded = string.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    state.update(b"|")
