"""The byte layout of a block: many feature rows in one LMDB value.

A record per vector would waste half the disk and be read ten times slower. A block, all
little-endian, is:

    offset     bytes      content
    0          4          b"MCMB"
    4          4          version of this layout (uint32)
    8          4          n: number of rows (uint32)
    12         4          bytes of a row without padding (uint32)
    16         32 n       content digests of the rows
    16 + 32n   8 n        checksums of the rows (uint64)
    16 + 40n   stride n   rows, each padded with zeros to a multiple of 8 bytes

A block is at most 256 KiB (at 64 KiB the interpreter's work per block doubled the time to read a
table) less the 16 bytes that LMDB puts before a large value, so a full one fills its pages. A row
that is larger has a block of its own.

The checksum of a row is a multilinear hash (Lemire and Kaser, "Strongly universal string hashing
is fast", 2014) over the 64-bit words w_j = 2^32 h_j + l_j of digest and row:

    checksum = c + sum_j m_j (w_j + h_j)  mod 2^64,  m_j odd and fixed.

Without h_j, two changes of the highest bits of words would cancel out. As it is, a change within
one aligned group of four bytes is certain to be found, and any other accidental change is missed
with a probability of about 2^-32 or less. The digest takes part, so a sound row under a wrong
digest is found too. numpy computes this for a whole block in three calls, several times as fast
as a CRC of each row.
"""

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from storage.features.space import FeatureDtype

Digests = Sequence[bytes] | NDArray[np.void]
"""Content digests of 32 bytes: a sequence of `bytes`, or (faster) an array of dtype V32."""

DigestWords = NDArray[np.uint64]
"""Digests as four words each. Shape: (num_digests, 4)."""

Value = bytes | bytearray | memoryview

Rows = NDArray[np.float16] | NDArray[np.float32]

DIGEST_BYTES = 32
MAX_BLOCK_BYTES = 2**18 - 16
_MAGIC = b"MCMB"
_VERSION = 1
_HEADER = struct.Struct("<4sIII")
_HEAD_BYTES = DIGEST_BYTES + 8
_WORDS_OF_DIGEST = DIGEST_BYTES // 8
_CONSTANT = np.uint64(0x9E3779B97F4A7C15)


class BlockError(ValueError):
    """Bytes that are no block of the feature space; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """Views of a block's parts; nothing is copied, nothing is verified but the structure.

    Attributes:
        digests: Shape: (num_rows, 4).
        checksums: As stored. Shape: (num_rows,).
        words: The rows with their padding. Shape: (num_rows, words_per_row).
        rows: Shape: (num_rows, dim).
    """

    digests: DigestWords
    checksums: NDArray[np.uint64]
    words: NDArray[np.uint64]
    rows: Rows

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.checksums)

    def sound(self) -> NDArray[np.bool_]:
        """Say which rows match their checksums. Shape: (num_rows,)."""
        found = digest_checksums(self.digests) + row_checksums(self.words)
        return np.asarray(found == self.checksums)


@dataclass(frozen=True)
class BlockFormat:
    """Packs and parses the blocks of one feature space.

    Attributes:
        dim: Length of a row.
        dtype: Type of a row's numbers.
    """

    dim: int
    dtype: FeatureDtype

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of a row without padding."""
        return self.dim * np.dtype(self.dtype).itemsize

    @cached_property
    def stride(self) -> int:
        """Bytes of a row with padding."""
        return -(-self.row_bytes // 8) * 8

    @cached_property
    def capacity(self) -> int:
        """Rows of a full block."""
        return max(1, (MAX_BLOCK_BYTES - _HEADER.size) // (_HEAD_BYTES + self.stride))

    @cached_property
    def empty(self) -> Block:
        """A block of no rows."""
        return self._views(bytes(_HEADER.size), 0)

    def parse(self, value: Value) -> Block:
        """Return views of a block's parts, valid as long as the value is.

        Raises:
            BlockError: If the value is no block of this format.
        """
        num_bytes = memoryview(value).nbytes
        if num_bytes < _HEADER.size:
            raise BlockError(f"found {num_bytes} bytes, a block has at least {_HEADER.size}")
        magic, version, num_rows, row_bytes = _HEADER.unpack_from(value)
        if (magic, version, row_bytes) != (_MAGIC, _VERSION, self.row_bytes):
            raise BlockError("found a header that is none of this feature space's")
        if num_bytes != self._num_bytes(num_rows):
            raise BlockError(f"found {num_bytes} bytes, {num_rows} rows need another number")
        return self._views(value, num_rows)

    def pack(self, digests: DigestWords, checksums: NDArray[np.uint64], rows: Rows) -> bytearray:
        """Return a block of the given parts; `checksums` are stored as they are.

        Shape: (num_rows, 4), (num_rows,) and (num_rows, dim).
        """
        value = bytearray(self._num_bytes(len(rows)))
        _HEADER.pack_into(value, 0, _MAGIC, _VERSION, len(rows), self.row_bytes)
        block = self._views(value, len(rows))
        block.digests[:] = digests
        block.checksums[:] = checksums
        block.rows[:] = rows
        return value

    def checksums(self, digests: DigestWords, rows: Rows) -> NDArray[np.uint64]:
        """Return the checksums of new rows. Shape: (num_rows,)."""
        words = np.zeros((len(rows), self.stride), dtype=np.uint8)
        words[:, : self.row_bytes] = np.ascontiguousarray(rows).view(np.uint8)
        return digest_checksums(digests) + row_checksums(words.view(np.uint64))

    def _num_bytes(self, num_rows: int) -> int:
        return _HEADER.size + num_rows * (_HEAD_BYTES + self.stride)

    def _views(self, value: Value, num_rows: int) -> Block:
        checksums_at = _HEADER.size + DIGEST_BYTES * num_rows
        rows_at = checksums_at + 8 * num_rows
        digests = np.frombuffer(value, "<u8", 4 * num_rows, _HEADER.size)
        words = np.frombuffer(value, "<u8", num_rows * (self.stride // 8), rows_at)
        words = words.reshape(num_rows, self.stride // 8)
        return Block(
            digests=digests.reshape(num_rows, 4),
            checksums=np.frombuffer(value, "<u8", num_rows, checksums_at),
            words=words,
            rows=words.view(self.dtype)[:, : self.dim],
        )


def digest_words(digests: Digests) -> DigestWords:
    """Return digests as words. Shape: (num_digests, 4).

    Raises:
        ValueError: If a digest is not 32 bytes long.
    """
    if isinstance(digests, np.ndarray):
        if digests.dtype != np.dtype((np.void, DIGEST_BYTES)):
            raise ValueError(f"found digests of dtype {digests.dtype}; allowed: V{DIGEST_BYTES}")
        return np.ascontiguousarray(digests).view("<u8").reshape(-1, 4)
    wrong = next((digest for digest in digests if len(digest) != DIGEST_BYTES), None)
    if wrong is not None:
        raise ValueError(f"found a digest of {len(wrong)} bytes; allowed: {DIGEST_BYTES}")
    return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 4)


def digest_bytes(words: DigestWords) -> list[bytes]:
    """Return digests as bytes."""
    keys: list[bytes] = np.ascontiguousarray(words).view(f"V{DIGEST_BYTES}").ravel().tolist()
    return keys


def digest_checksums(digests: DigestWords) -> NDArray[np.uint64]:
    """Return the digests' part of the checksums, the constant included. Shape: (num_digests,)."""
    return _sums(digests, _multipliers(_WORDS_OF_DIGEST)) + _CONSTANT


def row_checksums(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the rows' part of the checksums. Shape: (num_rows,)."""
    multipliers = _multipliers(_WORDS_OF_DIGEST + words.shape[1])
    return _sums(words, multipliers[_WORDS_OF_DIGEST:])


def _sums(words: NDArray[np.uint64], multipliers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return sum_j m_j (w_j + h_j) of every row. Shape: (num_rows,)."""
    sums = np.empty(len(words), dtype=np.uint64)
    step = max(1, MAX_BLOCK_BYTES // (8 * words.shape[1]))
    for start in range(0, len(words), step):
        part = words[start : start + step]
        terms = _scratch.room(part.size).reshape(part.shape)
        np.right_shift(part, np.uint64(32), out=terms)
        np.add(terms, part, out=terms)
        np.einsum("ij,j->i", terms, multipliers, out=sums[start : start + step])
    return sums


class _Scratch(threading.local):
    """Memory that a thread uses again and again, while it is in the cache.

    Fresh memory for every block made its checksums take up to twice as long: if malloc gives it
    back each time, the kernel maps and clears its pages each time.
    """

    def __init__(self) -> None:
        self._words = np.empty(MAX_BLOCK_BYTES // 8, dtype=np.uint64)

    def room(self, num_words: int) -> NDArray[np.uint64]:
        """Return room that is overwritten by the thread's next use. Shape: (num_words,)."""
        if num_words > len(self._words):
            return np.empty(num_words, dtype=np.uint64)
        return self._words[:num_words]


_scratch = _Scratch()


@lru_cache(maxsize=64)
def _multipliers(count: int) -> NDArray[np.uint64]:
    """Return the first odd multipliers: outputs of SplitMix64 with the lowest bit set."""
    state = np.arange(1, count + 1, dtype=np.uint64) * _CONSTANT
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))) | np.uint64(1)
