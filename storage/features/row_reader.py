"""Reads rows of a feature store by digest: located first, then copied block by block, verified.

All rows in the order in which they are stored need not be located
(storage/features/ordered_copy.py). For others there are two ways, chosen by how much of the store
is asked for: the index, one look-up per digest; or the digests in the blocks, scanned in order and
joined with the wanted ones, which spares a million look-ups when a whole table is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.features.block import (
    Block,
    BlockError,
    BlockFormat,
    DigestWords,
    Rows,
    Value,
    digest_bytes,
    digest_checksums,
    row_checksums,
)
from storage.features.copy_threads import in_threads
from storage.features.environment import Environment, Transaction
from storage.features.layout import LOCATION, block_key
from storage.features.ordered_copy import OrderedCopy

SCAN_RATIO = 8
"""A look-up in the index costs about as much as scanning this many rows (measured)."""

BLOCKS_PER_TASK = 32

_NOWHERE = b"\xff" * LOCATION.itemsize

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Located:
    """Where the wanted rows are.

    Attributes:
        blocks: Blocks, in the order of their keys.
        block_of: Index into `blocks` for each wanted digest; -1 if it was not found.
        row_of: Row in that block for each wanted digest.
    """

    blocks: list[Block]
    block_of: Indices
    row_of: Indices

    @property
    def missing(self) -> Indices:
        """Wanted digests that were not found, as indices."""
        return np.flatnonzero(self.block_of < 0)


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads from one snapshot of a store; every array it returns is a copy.

    Attributes:
        environment: The store's environment.
        snapshot: A read transaction of it.
        block_format: Format of its blocks.
    """

    environment: Environment
    snapshot: Transaction
    block_format: BlockFormat

    def digests(self) -> DigestWords:
        """Return the digests of all rows, in the order in which they are stored.

        Shape: (num_rows, 4).
        """
        return self._digests_of(list(self._scan()))

    def locate(self, wanted: DigestWords) -> Located:
        """Find the rows of digests. Shape: (num_wanted, 4)."""
        if SCAN_RATIO * len(wanted) >= self._num_rows():
            located = self._locate_by_scan(wanted)
            if not len(located.missing):
                return located
        return self._locate_by_index(wanted)

    def copy_in_order(self, wanted: DigestWords, out: Rows, targets: Indices) -> bool:
        """Copy all of the store's rows to `out[targets]`, if they are the wanted ones in order.

        Shape: `wanted` (num_wanted, 4); `out` (any, dim).

        Returns:
            Whether that is so and every row matches its checksum. If not, anything may have been
            written to the targets.
        """
        return (
            self._num_rows() == len(wanted)
            and OrderedCopy(self._scan(), wanted, out, targets).run()
        )

    def copy(
        self, located: Located, wanted: DigestWords, out: Rows, targets: Indices
    ) -> NDArray[np.bool_]:
        """Copy located rows into `out[targets]` and say which match their checksums.

        The checksum is taken over the digest that is wanted, not over the one in the block, so
        a row that belongs to another digest does not match.

        Shape: `wanted` (num_wanted, 4); `out` (any, dim); the result (num_wanted,).
        """
        order = np.argsort(located.block_of << 16 | located.row_of, kind="stable")
        copier = _Copier(
            located.blocks, located.block_of[order], located.row_of[order], targets[order], out
        )
        sound = np.empty(len(wanted), dtype=np.bool_)
        sound[order] = copier.run() == digest_checksums(wanted)[order]
        return sound

    def _locate_by_scan(self, wanted: DigestWords) -> Located:
        """Join the wanted digests with those in the blocks, scanned in order."""
        blocks = list(self._scan())
        num_rows = [block.num_rows for block in blocks]
        position = _join(wanted, self._digests_of(blocks))
        block_of = np.append(np.repeat(np.arange(len(blocks)), num_rows), -1)[position]
        starts = np.cumsum([0, *num_rows])
        return Located(blocks, block_of, position - starts[block_of])

    def _digests_of(self, blocks: list[Block]) -> DigestWords:
        """Return the digests in blocks, copied. Shape: (num_rows, 4)."""
        return np.concatenate([self.block_format.empty.digests, *(it.digests for it in blocks)])

    def _locate_by_index(self, wanted: DigestWords) -> Located:
        """Look every wanted digest up."""
        index = self.environment.database("index")
        entries = [self.snapshot.get(key, b"", index) for key in digest_bytes(wanted)]
        packed = b"".join(e if len(e) == LOCATION.itemsize else _NOWHERE for e in entries)
        locations = np.frombuffer(packed, LOCATION)
        keys, block_of = np.unique(locations["block"].astype(np.int64), return_inverse=True)
        blocks = [self._block(key) for key in keys.tolist()]
        num_rows = np.array([block.num_rows for block in blocks])
        row_of = locations["row"].astype(np.int64)
        block_of[row_of >= num_rows[block_of]] = -1
        return Located(blocks, block_of, row_of)

    def _num_rows(self) -> int:
        """Count the rows of the store."""
        return int(self.snapshot.stat(self.environment.database("index"))["entries"])

    def _scan(self) -> Iterator[Block]:
        """Return all blocks, in order."""
        cursor = self.snapshot.cursor(self.environment.database("blocks"))
        return map(self._parse, cursor.iternext(keys=False))

    def _block(self, key: int) -> Block:
        blocks = self.environment.database("blocks")
        return self._parse(self.snapshot.get(block_key(key), b"", blocks))

    def _parse(self, value: Value) -> Block:
        """Parse a block; one that is damaged has no rows."""
        try:
            return self.block_format.parse(value)
        except BlockError:
            return self.block_format.empty


@dataclass(frozen=True, slots=True)
class _Copier:
    """Copies rows that are sorted by block.

    Attributes:
        blocks: Blocks to copy from.
        block_of: Index into `blocks` for each row, ascending.
        row_of: Row in the block, ascending within a block.
        targets: Row of `out` to copy to.
        out: Where to copy to. Shape: (any, dim).
    """

    blocks: list[Block]
    block_of: Indices
    row_of: Indices
    targets: Indices
    out: Rows

    def run(self) -> NDArray[np.uint64]:
        """Copy all; return what the digests' part of each checksum must be."""
        due = np.empty(len(self.block_of), dtype=np.uint64)
        ends = np.append(np.flatnonzero(np.diff(self.block_of)) + 1, len(self.block_of))
        starts = np.append(0, ends[:-1])
        parts = list(zip(starts.tolist(), ends.tolist(), self._are_runs(starts, ends), strict=True))

        tasks = iter(range(0, len(parts), BLOCKS_PER_TASK))

        def copy_parts() -> None:
            for first in tasks:  # a thread at a time can step it
                for start, end, is_run in parts[first : first + BLOCKS_PER_TASK]:
                    self._copy_part(slice(start, end), is_run, due)

        in_threads(copy_parts, len(due) * self.out.strides[0])
        return due

    def _are_runs(self, starts: Indices, ends: Indices) -> list[bool]:
        """Say for each part whether rows and targets both count up by one: slices will do."""
        steps = (np.diff(self.row_of) == 1) & (np.diff(self.targets) == 1)
        counts = np.append(0, np.cumsum(steps))
        are_runs: list[bool] = (counts[ends - 1] - counts[starts] == ends - 1 - starts).tolist()
        return are_runs

    def _copy_part(self, part: slice, is_run: bool, due: NDArray[np.uint64]) -> None:
        """Copy one block's rows."""
        block = self.blocks[self.block_of[part.start]]
        rows, targets = self.row_of[part], self.targets[part]
        if is_run:
            run = slice(rows[0], rows[-1] + 1)
            words = block.words[run]
            self.out[targets[0] : targets[-1] + 1] = block.rows[run]
        else:
            words = block.words[rows]
            self.out[targets] = words.view(self.out.dtype)[:, : self.out.shape[1]]
        due[part] = block.checksums[rows] - row_checksums(words)


def _join(wanted: DigestWords, stored: DigestWords) -> Indices:
    """Return for each wanted digest its position among the stored ones, or -1."""
    if np.array_equal(wanted, stored):
        return np.arange(len(wanted))
    if not len(stored):
        return np.full(len(wanted), -1)
    wanted_keys, stored_keys = digest_checksums(wanted), digest_checksums(stored)
    wanted_order, stored_order = np.argsort(wanted_keys), np.argsort(stored_keys)
    place = np.searchsorted(stored_keys[stored_order], wanted_keys[wanted_order])
    position = np.empty(len(wanted), dtype=np.int64)
    position[wanted_order] = stored_order[np.minimum(place, len(stored) - 1)]
    position[(stored[position] != wanted).any(axis=1)] = -1
    return position
