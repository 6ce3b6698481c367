"""The graph as arrays of indices: the one form in which triples travel between the packages."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from storage.datasets.keys import Keys, pack

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Triples = NDArray[np.int64]
"""Triples as indices. Shape: (num_triples, 3); columns head, relation, tail."""


def _no_triples() -> Triples:
    return np.empty((0, 3), dtype=np.int64)


def _no_confidences() -> NDArray[np.float32]:
    return np.empty(0, dtype=np.float32)


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
        negatives: Triples that are known to be wrong. Shape: (num_negatives, 3).
        kinds: What kinds of thing each entity is, such as `country`. Same length as `entities`, or
            empty if no entity states any.
        uncertain: Distinct triples, of any split, whose confidence is stated and below 1. Shape:
            (num_uncertain, 3).
        confidences: Their confidences, at least 0. Shape: (num_uncertain,).
        split_by_hash: Whether mocme made the splits, and not who made the dataset; see
            `storage.datasets.split`.
    """

    entities: tuple[str, ...]
    names: tuple[str, ...]
    relations: tuple[str, ...]
    train: Triples
    valid: Triples
    test: Triples
    negatives: Triples = field(default_factory=_no_triples)
    kinds: tuple[tuple[str, ...], ...] = ()
    uncertain: Triples = field(default_factory=_no_triples)
    confidences: NDArray[np.float32] = field(default_factory=_no_confidences)
    split_by_hash: bool = False

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

    def confidence(self, triples: Triples) -> NDArray[np.float32]:
        """Return how confident the dataset is of each triple: 1 where it does not say.

        Args:
            triples: Any triples, of whatever split or of none. Shape: (num_triples, 3).

        Returns:
            From 0 to 1. Shape: (num_triples,).
        """
        found = np.ones(len(triples), dtype=np.float32)
        if not len(self.uncertain) or not len(triples):
            return found
        keys, confidences = self._sorted_uncertain
        wanted = pack(triples, self.num_entities, self.num_relations)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_stated = keys[places] == wanted
        found[is_stated] = confidences[places[is_stated]]
        return found

    @cached_property
    def _sorted_uncertain(self) -> tuple[Keys, NDArray[np.float32]]:
        """The keys of `uncertain` in ascending order, and the confidences in that order."""
        keys = pack(self.uncertain, self.num_entities, self.num_relations)
        order = np.argsort(keys)
        return keys[order], self.confidences[order]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the graph but its negatives, which no training sees, in hex."""
        state = hashlib.sha256()
        for strings in (self.entities, self.names, self.relations):
            _feed_strings(state, strings)
        for split in SPLITS:
            state.update(np.ascontiguousarray(self.split(split)).tobytes() + b"|")
        self._feed_optional_parts(state)
        return state.hexdigest()

    def _feed_optional_parts(self, state: "hashlib._Hash") -> None:
        """Feed the parts that most graphs lack; nothing where they are empty."""
        for name, array in (
            ("uncertain", self.uncertain),
            ("confidences", self.confidences),
        ):
            if len(array):
                state.update(name.encode() + np.ascontiguousarray(array).tobytes() + b"|")
        if self.kinds:
            state.update(b"kinds")
            for kinds in self.kinds:
                _feed_strings(state, kinds)
        if self.split_by_hash:
            state.update(b"split_by_hash|")


def _feed_strings(state: "hashlib._Hash", strings: Iterable[str]) -> None:
    """Feed strings length-first, so that no two lists of strings read alike."""
    for string in strings:
        encoded = string.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    state.update(b"|")
