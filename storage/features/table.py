"""The features of one modality in entity order, as the model wants them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from storage.errors import StoreError
from storage.features.block import DIGEST_BYTES, Rows
from storage.features.row_reader import Indices
from storage.features.space import FeatureLayout, FeatureSpace
from storage.features.standardisation import Features, Flags, standardise, standardise_known
from storage.features.store import FeatureStore

REFERENCE = np.dtype([("entity", "<i8"), ("digest", f"V{DIGEST_BYTES}")])
"""An entity's row and the content digest of one of its items, as an array's dtype."""

References = Sequence[tuple[int, bytes]] | NDArray[np.void]
"""References as tuples or (faster) as an array of dtype `REFERENCE`."""


@dataclass(frozen=True)
class FeatureTable:
    """Vectors of the items of every entity.

    Attributes:
        values: In the space's dtype; what stands where `mask` is False is read by nobody.
            Shape: (E, num_items, dim), where num_items is that of the entity that has most.
        mask: Which items exist. Shape: (E, num_items).
        layout: What a vector holds; see `FeatureSpace`.
    """

    values: Rows
    mask: Flags
    layout: FeatureLayout

    @classmethod
    def read(
        cls,
        store: FeatureStore,
        num_entities: int,
        references: References,
        max_items: int | None = None,
    ) -> Self:
        """Read the vectors of referenced items, each checked.

        Args:
            store: Where the vectors are.
            num_entities: Number of entities, E.
            references: Items in the order in which an entity lists them.
            max_items: How many items of an entity to keep, the first ones; None keeps all.

        Raises:
            StoreError: If a vector is absent or damaged, or the table is larger than memory.
            ValueError: If a reference names no entity.
        """
        found = _in_entity_order(_as_array(references))
        entities = np.ascontiguousarray(found["entity"])
        if len(entities) and not 0 <= entities[0] <= entities[-1] < num_entities:
            raise ValueError(
                f"found references to the entities {entities[0]} to {entities[-1]}; "
                f"allowed: 0 to {num_entities - 1}"
            )
        rank = _ranks(entities)
        width = min(int(rank.max(initial=0)) + 1, max_items or len(found) + 1)
        kept = rank < width
        targets = entities[kept] * width + rank[kept]
        values = _zeros((num_entities, width), store)
        digests = found["digest"] if kept.all() else found["digest"][kept]
        store.read_into(digests, values.reshape(-1, store.space.dim), targets)
        mask = np.zeros((num_entities, width), dtype=np.bool_)
        mask.ravel()[targets] = True
        return cls(values, mask, store.space.layout)

    @property
    def present(self) -> Flags:
        """Which entities have at least one item. Shape: (E,)."""
        return np.asarray(self.mask.any(axis=1))

    def pooled(self, fit_on: Flags) -> tuple[Features, Flags]:
        """Return one standardised vector per entity: the mean over its items.

        Dense features: see `standardise`. Values and mask: the scores of the values (see
        `standardise_known`), then 1.0 for each that is known.

        Args:
            fit_on: Entities to fit means and deviations on. Shape: (E,).

        Returns:
            The vectors, 0 for an entity without items, and which entities have any.
            Shape: (E, dim) and (E,).
        """
        num_items = self.mask.sum(axis=1, keepdims=True)
        return self._standardised(self._sums(), num_items, fit_on), self.present

    def items(self, fit_on: Flags) -> tuple[Features, Indices]:
        """Return one standardised vector per item, in entity order; see `pooled`.

        Returns:
            The vectors and the entities that they belong to. Shape: (num_items, dim) and
            (num_items,).
        """
        owners = np.flatnonzero(self.mask) // self.mask.shape[1]
        values = self.values[self.mask].astype(np.float32)
        once = np.ones((len(values), 1), dtype=np.int64)
        return self._standardised(values, once, fit_on[owners]), owners

    def _standardised(self, sums: Features, num_items: Indices, fit_on: Flags) -> Features:
        """Standardise the means of sums over items. Shape: (rows, dim) and (rows, 1)."""
        if self.layout == "dense":
            np.divide(sums, num_items, out=sums, where=num_items > 0, casting="same_kind")
            return standardise(sums, num_items[:, 0] > 0, fit_on)
        sums, counts = np.split(sums, 2, axis=1)
        known = counts > 0
        np.divide(sums, counts, out=sums, where=known)
        scores = standardise_known(sums, known, fit_on)
        return np.concatenate([scores, known.astype(np.float32)], axis=1)

    def _sums(self) -> Features:
        """Add up the items of every entity. Shape: (E, dim)."""
        sums = np.zeros((len(self.mask), self.values.shape[2]), dtype=np.float32)
        for item in range(self.mask.shape[1]):
            here = self.mask[:, item]
            sums[here] += self.values[here, item]
        return sums


def _as_array(references: References) -> NDArray[np.void]:
    """Return references as an array of dtype `REFERENCE`."""
    if isinstance(references, np.ndarray):
        return references
    return np.array(list(references), dtype=REFERENCE)


def _in_entity_order(references: NDArray[np.void]) -> NDArray[np.void]:
    """Return references sorted by entity, those of one in their order; copied only if need be."""
    entities = references["entity"]
    if (entities[1:] >= entities[:-1]).all():
        return references
    return references[np.argsort(entities, kind="stable")]


def _ranks(entities: Indices) -> Indices:
    """Return each reference's place among those of its entity. Shape: (num_references,)."""
    position = np.arange(len(entities))
    is_first = np.append(True, entities[1:] != entities[:-1])[: len(entities)]
    return position - np.maximum.accumulate(np.where(is_first, position, 0))


def _zeros(shape: tuple[int, int], store: FeatureStore) -> Rows:
    """Return zeros. Shape: (E, num_items, dim).

    Raises:
        StoreError: If they do not fit into this machine's memory.
    """
    space: FeatureSpace = store.space
    num_bytes = shape[0] * shape[1] * store.block_format.row_bytes
    num_allowed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > num_allowed:
        raise StoreError(
            f"{store.directory}: found {shape[0]} entities with up to {shape[1]} items, a table "
            f"of {num_bytes:,} bytes; allowed: {num_allowed:,} bytes of memory (set max_items)"
        )
    values: Rows = np.zeros((*shape, space.dim), dtype=space.dtype)
    return values
