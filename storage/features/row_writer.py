"""Writes rows and failures to a feature store, inside one write transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.features.block import Block, BlockError, BlockFormat, DigestWords, Rows, digest_bytes
from storage.features.environment import Environment, Transaction
from storage.features.layout import LOCATION, block_key
from storage.features.row_reader import Indices


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes within one transaction.

    Attributes:
        environment: The store's environment.
        transaction: A write transaction of it.
        block_format: Format of its blocks.
    """

    environment: Environment
    transaction: Transaction
    block_format: BlockFormat

    def stored(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those digests that have a vector."""
        index, get = self.environment.database("index"), self.transaction.get
        return {key for key in keys if get(key, db=index) is not None}

    def append(self, digests: DigestWords, rows: Rows) -> None:
        """Append rows of digests that have none: to the last block, then to new ones.

        Shape: (num_rows, 4) and (num_rows, dim).
        """
        if not len(rows):
            return
        checksums = self.block_format.checksums(digests, rows)
        number, last = self._open_block()
        num_old, capacity = last.num_rows, self.block_format.capacity
        digests_of_blocks = np.concatenate([last.digests, digests])
        checksums = np.concatenate([last.checksums, checksums])
        rows = np.concatenate([last.rows, rows])
        for block, start in enumerate(range(0, len(rows), capacity), number):
            part = slice(start, start + capacity)
            self.put_block(block, digests_of_blocks[part], checksums[part], rows[part])
        position = np.arange(num_old, len(rows))
        self.point(digests, number + position // capacity, position % capacity)

    def put_block(
        self, number: int, digests: DigestWords, checksums: NDArray[np.uint64], rows: Rows
    ) -> None:
        """Write a block. Shape: (num_rows, 4), (num_rows,) and (num_rows, dim)."""
        value = self.block_format.pack(digests, checksums, rows)
        self.transaction.put(block_key(number), value, db=self.environment.database("blocks"))

    def point(self, digests: DigestWords, blocks: Indices, rows: Indices) -> None:
        """Let the index point digests to rows. Shape of all: (num_digests, ...)."""
        locations = np.empty(len(digests), dtype=LOCATION)
        locations["block"], locations["row"] = blocks, rows
        entries = locations.view(f"V{LOCATION.itemsize}").tolist()
        cursor = self.transaction.cursor(self.environment.database("index"))
        cursor.putmulti(sorted(zip(digest_bytes(digests), entries, strict=True)))

    def keep_rows(self, number: int, kept: NDArray[np.bool_]) -> None:
        """Drop the other rows of a block. Shape: (num_rows,)."""
        database = self.environment.database("blocks")
        block = self.block_format.parse(bytes(self.transaction.get(block_key(number), db=database)))
        digests = block.digests[kept]
        self.transaction.delete(block_key(number), db=database)
        if len(digests):
            self.put_block(number, digests, block.checksums[kept], block.rows[kept])
            self.point(digests, np.full(len(digests), number), np.arange(len(digests)))

    def record_failures(self, failures: Mapping[bytes, str]) -> None:
        """Record why digests have no vector, but for those that have one."""
        stored, database = self.stored(list(failures)), self.environment.database("failures")
        for key, reason in failures.items():
            if key not in stored:
                self.transaction.put(key, reason.encode(errors="replace"), db=database)

    def delete(self, name: str, keys: Sequence[bytes]) -> None:
        """Delete the keys that are there from a sub-database."""
        for key in keys:
            self.transaction.delete(key, db=self.environment.database(name))

    def _open_block(self) -> tuple[int, Block]:
        """Return the number and the content of the block that new rows go to."""
        cursor = self.transaction.cursor(self.environment.database("blocks"))
        if not cursor.last():
            return 0, self.block_format.empty
        number = int.from_bytes(cursor.key(), "big")
        try:
            block = self.block_format.parse(cursor.value())
        except BlockError:
            return number + 1, self.block_format.empty
        is_full = block.num_rows >= self.block_format.capacity
        return (number + 1, self.block_format.empty) if is_full else (number, block)
