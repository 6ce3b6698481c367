"""What the model reads: feature rows by modality, and triples in both directions.

Shapes: E entities, R relations, N training triples.
"""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from storage.datasets.graph import Graph, Triples
from storage.features.table import FeatureTable


@dataclass(frozen=True)
class ModalityRows:
    """The rows of the entities that have a modality, and nothing of the others.

    Attributes:
        entities: Which entities, in ascending order. Shape: (num_present,).
        values: Their rows. Shape: (num_present, dim).
        mask: Which of the rows count at present; None = all. Shape: (num_present,), bool.
        owners: Where entities have several rows: the place in `entities` of every row's entity;
            None = one row each, in the order of `entities`. Shape: (num_rows,).
    """

    entities: Tensor
    values: Tensor
    mask: Tensor | None = None
    owners: Tensor | None = None

    @property
    def dim(self) -> int:
        """Length of a row."""
        return self.values.shape[1]

    def compact(self) -> "ModalityRows":
        """Leave out the rows that do not count at present."""
        if self.mask is None:
            return self
        return ModalityRows(self.entities[self.mask], self.values[self.mask])

    def to(self, device: torch.device, dtype: torch.dtype) -> "ModalityRows":
        """Move to a device, with values of a dtype."""
        owners = None if self.owners is None else self.owners.to(device)
        return ModalityRows(self.entities.to(device), self.values.to(device, dtype), owners=owners)


def modality_rows(
    tables: Mapping[str, FeatureTable],
    graph: Graph,
    device: torch.device,
    attend: Collection[str] = (),
    dtype: torch.dtype = torch.float32,
) -> dict[str, ModalityRows]:
    """Read the tables for a graph, standardised on its training entities, rows of length about 1.

    A length of 1 makes a learning rate mean the same for three attributes as for 768 dimensions.

    Args:
        tables: Feature table by modality, rows in the graph's entity order.
        graph: The graph; entities in its training triples determine the normalisation.
        device: Where the rows are wanted.
        attend: Modalities whose items stay rows of their own; of the others, the mean counts.
        dtype: How the rows are kept.

    Returns:
        Rows by modality; a modality that no entity has is left out.
    """
    make = {name: _rows_of_items if name in attend else _rows_of_means for name in tables}
    return {
        name: make[name](table, graph.seen_in_training).to(device, dtype)
        for name, table in tables.items()
        if table.present.any()
    }


def _rows_of_means(table: FeatureTable, fit_on: NDArray[np.bool_]) -> ModalityRows:
    values, present = table.pooled(fit_on)
    entities = torch.from_numpy(np.flatnonzero(present))
    return ModalityRows(entities, _scaled(values[present], fit_on[present]))


def _rows_of_items(table: FeatureTable, fit_on: NDArray[np.bool_]) -> ModalityRows:
    values, owners = table.items(fit_on)
    entities, places = np.unique(owners, return_inverse=True)
    scaled = _scaled(values, fit_on[owners])
    return ModalityRows(torch.from_numpy(entities), scaled, owners=torch.from_numpy(places))


def _scaled(values: NDArray[np.float32], fit_on: NDArray[np.bool_]) -> Tensor:
    """Centre rows, as flags of what is known are not yet, and scale them. Shape: (P, dim).

    The fitted rows get a mean squared length of 1.
    """
    rows = torch.from_numpy(values)
    fitted = rows[torch.from_numpy(fit_on)] if fit_on.any() else rows
    mean = fitted.mean(0)
    return (rows - mean) / (fitted - mean).square().sum(1).mean().sqrt().clamp_min(1e-6)


def with_inverses(triples: Triples, num_relations: int) -> Triples:
    """Append (t, r + R, h) for every (h, r, t). Shapes: (N, 3) -> (2N, 3)."""
    inverse = np.stack([triples[:, 2], triples[:, 1] + num_relations, triples[:, 0]], axis=1)
    return np.concatenate([triples, inverse])


class KnownTails:
    """The tails known for a head and a relation, looked up for whole batches.

    Args:
        triples: Triples with inverses, (num_triples, 3); duplicates do no harm.
        num_relations: Number of relations, inverses included.
        device: Where the answers are wanted.
    """

    def __init__(self, triples: Triples, num_relations: int, device: torch.device) -> None:
        self._num_relations = num_relations
        keys = triples[:, 0] * num_relations + triples[:, 1]
        order = np.lexsort((triples[:, 2], keys))
        unique, starts = np.unique(keys[order], return_index=True)
        self._keys = torch.from_numpy(unique).to(device)
        self._starts = torch.from_numpy(np.append(starts, len(keys))).to(device)
        self._tails = torch.from_numpy(triples[order, 2].copy()).to(device)
        self._width = int(triples[:, 2].max(initial=0)) + 1
        self._triples = torch.from_numpy(keys[order]).to(device) * self._width + self._tails

    def to(self, device: torch.device) -> "KnownTails":
        """Return the same tails where the answers are wanted; these, if they are there."""
        if self._keys.device == device:
            return self
        moved = copy(self)
        for name in ("_keys", "_starts", "_tails", "_triples"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def lookup(self, heads: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Find all known tails of a batch of questions.

        How many there are, a GPU has to be waited for to tell.

        Args:
            heads: Shape (B,).
            relations: Shape (B,).

        Returns:
            Two tensors of shape (num_known,): the question's row in the batch, and a known tail.
        """
        if len(self._keys) == 0:
            return heads.new_empty(0), heads.new_empty(0)
        keys = heads * self._num_relations + relations
        place = torch.searchsorted(self._keys, keys).clamp_max(len(self._keys) - 1)
        found = self._keys[place] == keys
        start = self._starts[place]
        count = (self._starts[place + 1] - start) * found
        rows = torch.repeat_interleave(torch.arange(len(heads), device=heads.device), count)
        first = torch.cumsum(count, 0) - count
        within = torch.arange(len(rows), device=rows.device) - first[rows]
        return rows, self._tails[start[rows] + within]

    def among_all(self, heads: Tensor, relations: Tensor, num_entities: int) -> Tensor:
        """Whether each entity is a known tail. Shapes (B,), (B,) -> (B, E), bool."""
        is_known = torch.zeros(len(heads), num_entities, dtype=torch.bool, device=heads.device)
        is_known[self.lookup(heads, relations)] = True
        return is_known

    def contains(self, heads: Tensor, relations: Tensor, tails: Tensor) -> Tensor:
        """Whether triples are known. Shapes (B, 1), (B, 1), (B, N) -> (B, N), bool.

        Nothing here depends on the number of answers, so a GPU need not be waited for.
        """
        if len(self._triples) == 0:
            return torch.zeros_like(tails, dtype=torch.bool)
        wanted = (heads * self._num_relations + relations) * self._width + tails
        place = torch.searchsorted(self._triples, wanted).clamp_max_(len(self._triples) - 1)
        return (self._triples[place] == wanted) & (tails < self._width)
