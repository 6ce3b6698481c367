"""The feature store with bytes flipped on disk: named, never served, repaired."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plain_store
import pytest
from store_items import SPACE, digest, reason, rows, vector, vectors

from storage.errors import DamagedStoreError, StoreError
from storage.features.store import FeatureStore
from storage.features.verification import Repair, repair_folder, verify_store

NUM_ROWS = 600  # more than two blocks of 246
VICTIM = 300


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store; not to be changed."""
    with FeatureStore.open(tmp_path_factory.mktemp("pristine"), SPACE) as store:
        for start in range(0, NUM_ROWS, 200):
            store.write(vectors(range(start, start + 200)), {})
        store.write({}, {digest(1000): reason(1000)})
        return store.directory


@pytest.fixture
def directory(pristine: Path, tmp_path: Path) -> Path:
    """A copy of that store."""
    root = tmp_path / SPACE.extractor / SPACE.fingerprint
    shutil.copytree(pristine, root)
    return root


def flip_row(directory: Path) -> None:
    plain_store.flip(directory, vector(VICTIM).tobytes(), offset=700, mask=0x80)


def flip_padding_of_pages(directory: Path) -> None:
    plain_store.flip(directory, vector(VICTIM).tobytes(), offset=1023, mask=0xFF)


def flip_digest_in_block(directory: Path) -> None:
    pair = digest(VICTIM) + digest(VICTIM + 1)  # side by side only in a block
    plain_store.flip(directory, pair, offset=31)


def flip_checksum(directory: Path) -> None:
    block = plain_store.get(directory, b"blocks", struct.pack(">I", 1))
    assert block is not None
    place = 16 + 32 * 246 + 8 * (VICTIM - 246)
    plain_store.flip(directory, block[place : place + 8])


def swap_two_rows(directory: Path) -> None:
    path = directory / "data.mdb"
    first, second = vector(VICTIM).tobytes(), vector(VICTIM + 1).tobytes()
    parts = path.read_bytes().split(first + second)
    path.write_bytes((second + first).join(parts))


def let_index_name_another_row(directory: Path) -> None:
    plain_store.put(directory, b"index", digest(VICTIM), struct.pack(">IH", 0, 3))


def let_index_name_no_block(directory: Path) -> None:
    plain_store.put(directory, b"index", digest(VICTIM), struct.pack(">IH", 77, 3))


def let_index_name_no_row(directory: Path) -> None:
    plain_store.put(directory, b"index", digest(VICTIM), struct.pack(">IH", 1, 65535))


def let_index_hold_nonsense(directory: Path) -> None:
    plain_store.put(directory, b"index", digest(VICTIM), b"nonsense")


def delete_index_entry(directory: Path) -> None:
    plain_store.put(directory, b"index", digest(VICTIM), None)


DAMAGES = [
    flip_row,
    flip_padding_of_pages,
    flip_digest_in_block,
    flip_checksum,
    swap_two_rows,
    let_index_name_another_row,
    let_index_name_no_block,
    let_index_name_no_row,
    let_index_hold_nonsense,
    delete_index_entry,
]


@pytest.mark.parametrize("damage", DAMAGES)
class TestOneRow:
    def test_is_named(self, directory: Path, damage: Callable[[Path], None]) -> None:
        assert verify_store(directory) == []
        damage(directory)
        problems = verify_store(directory)
        named = {problem.digest for problem in problems}
        assert digest(VICTIM).hex() in named
        assert len(problems) <= 4
        assert all(str(problem).startswith("vector ") for problem in problems)

    def test_is_never_served_wrongly(self, directory: Path, damage: Callable[[Path], None]) -> None:
        damage(directory)
        with FeatureStore.open_readonly(directory) as store:
            for asked in ([VICTIM], range(NUM_ROWS)):  # by the index, by a scan
                try:
                    found = store.read([digest(item) for item in asked])
                except StoreError as error:
                    assert str(directory) in str(error)  # noqa: PT017 - either is right
                else:
                    np.testing.assert_array_equal(found, rows(asked))
            others = [item for item in range(NUM_ROWS) if item not in (VICTIM, VICTIM + 1)]
            for asked in (others[:5], others):
                found = store.read([digest(item) for item in asked])
                np.testing.assert_array_equal(found, rows(asked))

    def test_is_repaired(self, directory: Path, damage: Callable[[Path], None]) -> None:
        damage(directory)
        expected = verify_store(directory)
        everything = [digest(item) for item in range(NUM_ROWS)]
        with FeatureStore.open(directory.parents[1], SPACE) as store:
            assert store.repair() == expected
            assert store.verify() == []
            assert store.repair() == []
            states = store.lookup(everything)
            assert states[VICTIM] == "new"
            assert states.count("new") <= 2
            assert store.failures() == {digest(1000): reason(1000)}
            store.write(vectors(range(NUM_ROWS)), {})  # extracts again what was dropped
            assert store.verify() == []
            np.testing.assert_array_equal(store.read([digest(VICTIM)]), rows([VICTIM]))
            np.testing.assert_array_equal(store.read(everything), rows(range(NUM_ROWS)))
        assert len(plain_store.contents(directory)) == NUM_ROWS + 1


class TestOneBlock:
    @pytest.mark.parametrize("place", [0, 4, 8, 12])
    def test_a_damaged_header(self, directory: Path, place: int) -> None:
        block = plain_store.get(directory, b"blocks", struct.pack(">I", 1))
        assert block is not None
        plain_store.flip(directory, block[:80], offset=place)
        lost = {digest(item).hex() for item in range(246, 492)}
        problems = verify_store(directory)
        assert {problem.digest for problem in problems} == lost | {None}
        assert {problem.block for problem in problems} == {1}
        with FeatureStore.open(directory.parents[1], SPACE) as store:
            np.testing.assert_array_equal(store.read([digest(5)]), rows([5]))
            with pytest.raises(StoreError, match="no vector"):
                store.read([digest(VICTIM)])
            store.repair()
            assert store.verify() == []
            assert store.statistics().num_rows == NUM_ROWS - 246
            store.write(vectors(range(NUM_ROWS)), {})
            everything = [digest(item) for item in range(NUM_ROWS)]
            np.testing.assert_array_equal(store.read(everything), rows(range(NUM_ROWS)))
            assert store.verify() == []

    def test_a_damaged_last_block_is_not_written_to(self, directory: Path) -> None:
        plain_store.put(directory, b"blocks", struct.pack(">I", 2), b"MCMB damaged")
        with FeatureStore.open(directory.parents[1], SPACE) as store:
            store.write(vectors([2000]), {})
            np.testing.assert_array_equal(store.read([digest(2000)]), rows([2000]))
            assert {problem.block for problem in store.verify()} == {2}
        assert plain_store.get(directory, b"blocks", struct.pack(">I", 2)) == b"MCMB damaged"

    def test_a_key_that_is_none(self, directory: Path) -> None:
        block = plain_store.get(directory, b"blocks", struct.pack(">I", 1))
        plain_store.put(directory, b"blocks", b"a strange key", block)
        assert [problem.what for problem in verify_store(directory)] == ["found a key of 13 bytes"]
        with FeatureStore.open(directory.parents[1], SPACE) as store:
            store.repair()
            assert store.verify() == []
            np.testing.assert_array_equal(store.read([digest(VICTIM)]), rows([VICTIM]))


def test_any_byte_of_the_file(directory: Path) -> None:
    """Flipped bytes anywhere: `verify_store` returns, and what it finds good is good."""
    path = directory / "data.mdb"
    original = path.read_bytes()
    expected = plain_store.contents(directory)
    places = np.random.default_rng(3).integers(len(original), size=40).tolist()
    structure = range(0, 4096 * 2, 397)  # the meta pages, which point to all others
    for place in (*places, *structure):
        data = bytearray(original)
        data[place] ^= 0x55
        path.write_bytes(data)
        problems = verify_store(directory)
        if not problems:
            assert plain_store.contents(directory) == expected
        elif any(problem.digest or problem.block for problem in problems):
            with FeatureStore.open(directory.parents[1], SPACE) as store:
                store.repair()
                assert store.verify() == []


def test_damaged_pages_are_named_and_not_repaired(directory: Path) -> None:
    path = directory / "data.mdb"
    data = bytearray(path.read_bytes())
    for page in range(0, len(data), 4096):
        is_leaf = data[page + 10] == 2
        if is_leaf and digest(VICTIM) in data[page : page + 4096]:
            data[page : page + 16] = bytes(16)
    path.write_bytes(data)
    problems = verify_store(directory)
    assert all("LMDB: " in problem.what for problem in problems)
    assert repair_folder(directory) == Repair(problems)
    with pytest.raises(DamagedStoreError, match="restore this folder from a copy, or delete it"):
        FeatureStore.open(directory.parents[1], SPACE)
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_was_cut_off(directory: Path, share: float) -> None:
    path = directory / "data.mdb"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(StoreError, match="cut off"):
        FeatureStore.open_readonly(directory)
    with pytest.raises(StoreError, match="cut off"):
        FeatureStore.open(directory.parents[1], SPACE)
    assert "beyond EOF" in verify_store(directory)[0].what
