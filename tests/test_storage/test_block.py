"""The layout of a block, byte by byte, and what its checksums find."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_items import SPACE, digest, rows, vector

from storage.features.block import BlockError, BlockFormat, digest_words

FORMAT = BlockFormat(dim=512, dtype="float16")


def row_checksum(row: bytes, of: bytes = digest(0)) -> int:
    """Return the checksum of a row of 512 float16 numbers."""
    numbers = np.frombuffer(row, np.float16)[None]
    return int(FORMAT.checksums(digest_words([of]), numbers)[0])


def by_the_formula(row: bytes, of: bytes) -> int:
    """Compute a checksum as the docstring says, in whole numbers."""

    def multiplier(place: int) -> int:  # SplitMix64, with the lowest bit set
        state = (place + 1) * 0x9E3779B97F4A7C15 % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return (state ^ state >> 31) | 1

    content = of + row + bytes(-len(row) % 8)
    words = struct.unpack(f"<{len(content) // 8}Q", content)
    total = sum(multiplier(place) * (word + (word >> 32)) for place, word in enumerate(words))
    return (0x9E3779B97F4A7C15 + total) % 2**64


@pytest.mark.parametrize("dim", [1, 2, 5, 512])
def test_the_layout_byte_by_byte(dim: int) -> None:
    space = replace(SPACE, dim=dim)
    block_format = BlockFormat(dim, "float16")
    digests = [digest(0), digest(1), digest(2)]
    numbers = rows(range(3), space)
    checksums = block_format.checksums(digest_words(digests), numbers)
    padded = [row.tobytes() + bytes(-2 * dim % 8) for row in numbers]
    expected = struct.pack("<4sIII", b"MCMB", 1, 3, 2 * dim) + b"".join(digests)
    for row, key in zip(numbers, digests, strict=True):
        expected += struct.pack("<Q", by_the_formula(row.tobytes(), key))
    expected += b"".join(padded)
    assert bytes(block_format.pack(digest_words(digests), checksums, numbers)) == expected


@pytest.mark.parametrize(("dim", "num_rows"), [(5, 40_000), (512, 600), (140_000, 3)])
def test_checksums_of_many_rows(dim: int, num_rows: int) -> None:
    """More rows than are summed at once, and rows that are larger than a block."""
    block_format = BlockFormat(dim, "float16")
    random = np.random.default_rng(0)
    keys = random.integers(2**63, size=(num_rows, 4), dtype=np.uint64)
    numbers = random.standard_normal((num_rows, dim), dtype=np.float32).astype(np.float16)
    found = block_format.checksums(keys, numbers)
    for row in (0, num_rows // 2, num_rows - 1):
        assert found[row] == by_the_formula(numbers[row].tobytes(), keys[row].tobytes())


def test_a_full_block_fills_its_pages() -> None:
    """LMDB puts 16 bytes before a large value; less than a row of the pages is left over."""
    for dim, dtype in ((512, "float16"), (768, "float32"), (3, "float16")):
        block_format = BlockFormat(dim, dtype)
        row_bytes = 40 + block_format.stride
        used = 16 + 16 + block_format.capacity * row_bytes
        assert 64 * 4096 - row_bytes < used <= 64 * 4096


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"MCMB",
        struct.pack("<4sIII", b"MCMB", 1, 1, 1024),
        struct.pack("<4sIII", b"MCMB", 1, 2**32 - 1, 1024),
        struct.pack("<4sIII", b"MCMB", 2, 0, 1024),
        struct.pack("<4sIII", b"MCMC", 1, 0, 1024),
        struct.pack("<4sIII", b"MCMB", 1, 0, 1022),
        struct.pack("<4sIII", b"MCMB", 1, 0, 1024) + b"x",
    ],
)
def test_what_is_no_block(value: bytes) -> None:
    with pytest.raises(BlockError, match="found"):
        FORMAT.parse(value)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 255), st.integers(1, 2**32 - 1))
def test_any_change_of_four_bytes_is_found(place: int, change: int) -> None:
    row = vector(0).tobytes()
    words = list(struct.unpack("<256I", row))
    words[place] ^= change
    assert row_checksum(struct.pack("<256I", *words)) != row_checksum(row)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 8 * 1024 - 1), min_size=2, max_size=6))
def test_flipped_bits_are_found(places: set[int]) -> None:
    row = vector(0).tobytes()
    flipped = bytearray(row)
    for place in places:
        flipped[place // 8] ^= 1 << place % 8
    assert row_checksum(bytes(flipped)) != row_checksum(row)


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_changed_signs_are_found(step: int) -> None:
    """The highest bits of words: where a sum of products modulo 2^64 is weakest."""
    numbers = vector(0).copy()
    for count in (2, 8, len(numbers)):
        changed = numbers.copy()
        changed[step - 1 : count * step : step] *= -1
        assert row_checksum(changed.tobytes()) != row_checksum(numbers.tobytes())


def test_moved_bytes_are_found() -> None:
    row = vector(0).tobytes()
    for other in (row[2:] + row[:2], row[512:] + row[:512], bytes(1024), b"\xff" * 1024):
        assert row_checksum(other) != row_checksum(row)
    assert row_checksum(row, of=digest(1)) != row_checksum(row)
