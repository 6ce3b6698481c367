"""Verifies a feature store, and drops what is damaged.

Checked are LMDB's own pages (by the walker that comes with the binding: it reads bytes and is
safe where LMDB would crash), the structure of every block, the checksum of every row, and that
index and rows name each other. Rows of no index entry do not come about by themselves, so they
count as damage too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import DamagedStoreError
from storage.features.block import (
    DIGEST_BYTES,
    BlockError,
    BlockFormat,
    DigestWords,
    digest_bytes,
    digest_words,
)
from storage.features.environment import Environment, Transaction, open_environment
from storage.features.layout import DATABASES, LOCATION, block_key
from storage.features.row_reader import Indices
from storage.features.row_writer import RowWriter
from storage.features.space_description import read_space


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """One thing that is wrong with a store.

    Attributes:
        what: What was found.
        digest: Content digest that is affected, in hex.
        block: Number of the block that is affected.
    """

    what: str
    digest: str | None = None
    block: int | None = None

    @property
    def is_repairable(self) -> bool:
        """Whether dropping a vector or a block mends it; else only deleting the folder does."""
        return self.digest is not None or self.block is not None

    def __str__(self) -> str:
        places = []
        if self.digest is not None:
            places.append(f"vector {self.digest}")
        if self.block is not None:
            places.append(f"block {self.block}")
        return f"{', '.join(places) or 'file'}: {self.what}"


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did.

    Attributes:
        problems: What `verify_store` would have found.
        num_dropped: Entries of the index that were dropped: contents that are new again.
    """

    problems: list[StoreProblem]
    num_dropped: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(problem.is_repairable for problem in self.problems)


def verify_store(directory: Path) -> list[StoreProblem]:
    """Return all that is wrong with a store, whatever the bytes in its folder are.

    Others may write meanwhile; what is checked is the last commit before the call.

    Raises:
        StoreError: If it cannot be read, which says nothing of its bytes; or is another program's.
    """
    environment = open_environment(directory, DATABASES, writable=False)
    try:
        problems = _page_problems(environment)
        if problems:
            return problems
        space = read_space(environment)
        with environment.read() as snapshot:
            block_format = BlockFormat(space.dim, space.dtype)
            return list(_Examination(environment, snapshot, block_format).problems())
    except DamagedStoreError as error:
        return [StoreProblem(what) for what in error.problems]
    finally:
        environment.release()


def repair_folder(directory: Path) -> Repair:
    """Verify a store whatever the bytes in its folder are, and drop what is damaged.

    If LMDB's own pages or the description are damaged, nothing is changed.

    Raises:
        StoreError: If it cannot be read, or cannot be written though there is something to drop.
    """
    found = Repair(verify_store(directory))
    if not found.problems or not found.is_complete:
        return found
    environment = open_environment(directory, DATABASES, writable=True)
    try:
        space = read_space(environment)
        return repair_store(environment, BlockFormat(space.dim, space.dtype))
    finally:
        environment.release()


def repair_store(environment: Environment, block_format: BlockFormat) -> Repair:
    """Drop every damaged row, and every index entry without a sound row.

    Raises:
        DamagedStoreError: If LMDB's own pages are damaged.
    """
    problems = _page_problems(environment)
    if problems:
        raise DamagedStoreError(
            f"{environment.directory}: LMDB's own pages are damaged ({problems[0].what}); "
            "delete the folder and extract again"
        )

    def body(transaction: Transaction) -> Repair:
        examination = _Examination(environment, transaction, block_format)
        found = Repair(list(examination.problems()), len(examination.dropped_keys))
        _drop(examination, RowWriter(environment, transaction, block_format))
        return found

    return environment.write(body)


def _page_problems(environment: Environment) -> list[StoreProblem]:
    """Check the file's pages, before LMDB follows any pointer in them."""
    return [StoreProblem(f"LMDB: {what}") for what in environment.page_problems()]


class _Examination:
    """All blocks, rows and index entries of one snapshot, set against each other.

    Args:
        environment: The store's environment.
        snapshot: A transaction of it.
        block_format: Format of its blocks.

    Attributes:
        damaged_blocks: Key -> what is wrong, of blocks that cannot be parsed.
        malformed_keys: Keys of index entries that are no digest or name no row.
        sound: Which rows match their checksums. Shape: (num_rows,).
        named: Which rows the index names. Shape: (num_rows,).
        right: Which index entries name a row of their digest. Shape: (num_entries,).
    """

    def __init__(
        self, environment: Environment, snapshot: Transaction, block_format: BlockFormat
    ) -> None:
        self.damaged_blocks: dict[bytes, str] = {}
        self.malformed_keys: list[bytes] = []
        self._read_blocks(snapshot.cursor(environment.database("blocks")), block_format)
        self._read_index(snapshot.cursor(environment.database("index")))
        position = self._positions()
        self.right = position >= 0
        self.right[self.right] = (
            self._digests[position[self.right]] == self._keys[self.right]
        ).all(axis=1)
        self.named = np.zeros(len(self.sound), dtype=np.bool_)
        self.named[position[self.right]] = True
        self._position = position

    @property
    def kept_rows(self) -> NDArray[np.bool_]:
        """Rows that a repair keeps. Shape: (num_rows,)."""
        return self.sound & self.named

    @property
    def dropped_keys(self) -> list[bytes]:
        """Digests that a repair drops from the index."""
        kept = self.right.copy()
        kept[kept] = self.sound[self._position[kept]]
        return self.malformed_keys + digest_bytes(self._keys[~kept])

    def block_rows(self) -> Iterator[tuple[int, slice]]:
        """Yield each sound block's number and where its rows stand among all rows."""
        for number, start, end in zip(self._numbers, self._starts, self._starts[1:], strict=False):
            yield int(number), slice(int(start), int(end))

    def problems(self) -> Iterator[StoreProblem]:
        """Yield all that is wrong."""
        for key, what in self.damaged_blocks.items():
            yield StoreProblem(what, block=int.from_bytes(key, "big"))
        for key in self.malformed_keys:
            yield StoreProblem("found an index entry that is none", digest=key.hex())
        for number, rows in self.block_rows():
            for row in rows.start + np.flatnonzero(~self.kept_rows[rows]):
                what = "its index entry" if self.sound[row] else "the checksum of the row"
                digest = digest_bytes(self._digests[row : row + 1])[0].hex()
                yield StoreProblem(f"{what} does not match", digest, number)
        for entry in np.flatnonzero(~self.right):
            digest = digest_bytes(self._keys[entry : entry + 1])[0].hex()
            block = int(self._locations["block"][entry])
            yield StoreProblem("the index names a row that is not there", digest, block)

    def _read_blocks(self, cursor: Any, block_format: BlockFormat) -> None:
        numbers, digests, sound = [], [block_format.empty.digests], [np.zeros(0, np.bool_)]
        for key, value in cursor:
            number = int.from_bytes(key, "big")
            try:
                if key != block_key(number % 2**32):
                    raise BlockError(f"found a key of {len(key)} bytes")
                block = block_format.parse(value)
            except BlockError as error:
                self.damaged_blocks[bytes(key)] = str(error)
                continue
            numbers.append(number)
            digests.append(block.digests.copy())
            sound.append(block.sound())
        self._numbers = np.array(numbers, dtype=np.int64)
        self._starts = np.cumsum([len(part) for part in sound])
        self._digests: DigestWords = np.concatenate(digests)
        self.sound = np.concatenate(sound)

    def _read_index(self, cursor: Any) -> None:
        keys, entries = [], []
        for key, entry in cursor:
            if len(key) == DIGEST_BYTES and len(entry) == LOCATION.itemsize:
                keys.append(bytes(key))
                entries.append(bytes(entry))
            else:
                self.malformed_keys.append(bytes(key))
        self._keys = digest_words(keys)
        self._locations = np.frombuffer(b"".join(entries), LOCATION)

    def _positions(self) -> Indices:
        """Return which of all rows each index entry names, or -1. Shape: (num_entries,)."""
        numbers = np.append(self._numbers, -1)
        block = np.searchsorted(self._numbers, self._locations["block"])
        position = np.append(self._starts, 0)[block] + self._locations["row"]
        ends = np.append(self._starts[1:], [0, 0])[block]
        there = (numbers[block] == self._locations["block"]) & (position < ends)
        return np.where(there, position, -1)


def _drop(examination: _Examination, writer: RowWriter) -> None:
    """Delete what is damaged, and rewrite the blocks that held it without it."""
    writer.delete("blocks", list(examination.damaged_blocks))
    writer.delete("index", examination.dropped_keys)
    for number, rows in examination.block_rows():
        kept = examination.kept_rows[rows]
        if not kept.all():
            writer.keep_rows(number, kept)
