"""The feature store, one process: every promise, for every shape of space, and refused input."""

import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plain_store
import pytest
from store_items import SPACE, digest, reason, rows, vector, vectors

from storage.errors import StoreError
from storage.features import copy_threads, opening, ordered_copy, space_description
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, feature_spaces

SPACES = {
    "usual": SPACE,
    "odd row": replace(SPACE, dim=5),
    "one number": replace(SPACE, dim=1),
    "wide": replace(SPACE, dim=768, dtype="float32"),
    "row above a block": replace(SPACE, dim=70_000, dtype="float32"),
    "values and mask": replace(SPACE, dim=6, dtype="float32", layout="values_and_mask"),
}


@pytest.fixture(params=SPACES.values(), ids=SPACES.keys())
def space(request: pytest.FixtureRequest) -> FeatureSpace:
    found: FeatureSpace = request.param
    return found


class TestEverySpace:
    def test_reads_what_was_written(self, tmp_path: Path, space: FeatureSpace) -> None:
        with FeatureStore.open(tmp_path, space) as store:
            store.write(vectors(range(40), space), {})
            store.write(vectors(range(40, 45), space), {})
        asked = [7, 44, 0, 7, 20, 21, 22]  # in no order, and one twice
        with FeatureStore.open_readonly(store.directory) as store:
            assert store.space == space
            found = store.read([digest(item) for item in asked])
            np.testing.assert_array_equal(found, rows(asked, space))
            assert found.dtype == np.dtype(space.dtype)
            np.testing.assert_array_equal(store.read([digest(3)]), rows([3], space))
            assert store.read([]).shape == (0, space.dim)
            assert store.verify() == []

    def test_plain_lmdb_finds_the_same(self, tmp_path: Path, space: FeatureSpace) -> None:
        with FeatureStore.open(tmp_path, space) as store:
            store.write(vectors(range(30), space), {digest(99): reason(99)})
        expected = {digest(item): vector(item, space).tobytes() for item in range(30)}
        assert plain_store.contents(store.directory) == expected | {digest(99): reason(99)}

    def test_many_small_writes_fill_the_blocks(self, tmp_path: Path, space: FeatureSpace) -> None:
        with FeatureStore.open(tmp_path, space) as store:
            for start in range(0, 60, 7):
                store.write(vectors(range(start, start + 7), space), {})
            capacity = store.block_format.capacity
        sizes = plain_store.block_sizes(store.directory)
        assert sum(sizes) == 63
        assert all(size == capacity for size in sizes[:-1])


def test_both_ways_of_locating_read_the_same(tmp_path: Path) -> None:
    """Few of many digests go through the index, many are joined with a scan of the blocks."""
    order = np.random.default_rng(0).permutation(2000)
    with FeatureStore.open(tmp_path, SPACE) as store:
        for start in range(0, 2000, 500):
            store.write(vectors(order[start : start + 500]), {})
        for asked in (np.arange(2000), order, order[::3], order[:10], np.repeat(order[:300], 2)):
            found = store.read([digest(item) for item in asked])
            np.testing.assert_array_equal(found, rows(asked))


def test_a_large_table_is_read_by_several_threads(tmp_path: Path) -> None:
    space = replace(SPACE, dim=16_384)  # 32 KiB a row: 1,000 rows are 32 MB
    template = vector(0, space)
    many = {digest(item): template + np.float16(item % 64) for item in range(1000)}
    with FeatureStore.open(tmp_path, space) as store:
        store.write(many, {})
        keys = list(many)[::-1]
        np.testing.assert_array_equal(store.read(keys), np.stack([many[key] for key in keys]))


class TestAllRowsInOrder:
    """One pass copies them without locating any; whatever else is asked is read the other way."""

    NUM_ROWS = 600  # more than two blocks of 246

    @pytest.fixture(params=[1, 2**40], ids=["several threads", "one thread"])
    def store(
        self, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FeatureStore]:
        monkeypatch.setattr(copy_threads, "THREADED_BYTES", request.param)
        monkeypatch.setattr(ordered_copy, "BLOCKS_PER_TURN", 1)
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors(range(self.NUM_ROWS)), {})
            yield store

    @pytest.mark.parametrize("first", [0, 3])
    @pytest.mark.parametrize("step", [1, 2, -1])
    def test_go_where_they_belong(self, store: FeatureStore, first: int, step: int) -> None:
        out = np.zeros((first + 2 * self.NUM_ROWS, SPACE.dim), np.float16)
        targets = first + np.arange(self.NUM_ROWS)[:: 1 if step > 0 else -1] * abs(step)
        store.read_into([digest(item) for item in range(self.NUM_ROWS)], out, targets)
        np.testing.assert_array_equal(out[targets], rows(range(self.NUM_ROWS)))
        assert np.count_nonzero(out.any(axis=1)) == self.NUM_ROWS

    @pytest.mark.parametrize(("one", "other"), [(0, 1), (598, 599), (0, 599), (245, 246)])
    def test_two_in_each_others_place(self, store: FeatureStore, one: int, other: int) -> None:
        asked = list(range(self.NUM_ROWS))
        asked[one], asked[other] = other, one
        found = store.read([digest(item) for item in asked])
        np.testing.assert_array_equal(found, rows(asked))

    @pytest.mark.parametrize("place", [0, 300, 599])
    def test_as_many_but_not_these(self, store: FeatureStore, place: int) -> None:
        asked = [digest(item) for item in range(self.NUM_ROWS)]
        twice = [*asked[:place], asked[5], *asked[place + 1 :]]
        expected = rows([*range(place), 5, *range(place + 1, self.NUM_ROWS)])
        np.testing.assert_array_equal(store.read(twice), expected)
        with pytest.raises(StoreError, match=f"no vector.*{digest(1000).hex()}"):
            store.read([*asked[:place], digest(1000), *asked[place + 1 :]])

    def test_a_block_that_is_none(self, store: FeatureStore) -> None:
        """The index counts its rows, so as many are asked for as it says."""
        store.close()
        plain_store.put(store.directory, b"blocks", bytes([0, 0, 0, 1]), b"nonsense")
        with (
            FeatureStore.open_readonly(store.directory) as damaged,
            pytest.raises(StoreError, match=f"no vector.*{digest(246).hex()} .246 such"),
        ):
            damaged.read([digest(item) for item in range(self.NUM_ROWS)])

    def test_a_block_more_than_the_index_knows(self, store: FeatureStore) -> None:
        store.close()
        block = plain_store.get(store.directory, b"blocks", bytes(4))
        plain_store.put(store.directory, b"blocks", bytes([0, 0, 0, 3]), block)
        with FeatureStore.open_readonly(store.directory) as damaged:
            found = damaged.read([digest(item) for item in range(self.NUM_ROWS)])
        np.testing.assert_array_equal(found, rows(range(self.NUM_ROWS)))


def test_digests_may_come_as_an_array(tmp_path: Path) -> None:
    digests = np.array([digest(item) for item in (2, 0)], dtype="V32")
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write(vectors(range(3)), {})
        np.testing.assert_array_equal(store.read(digests), rows([2, 0]))
        assert store.lookup(digests) == ["stored", "stored"]
        with pytest.raises(StoreError, match="V16; allowed: V32"):
            store.read(digests.view("V16"))


def test_digests_that_begin_or_end_alike_are_told_apart(tmp_path: Path) -> None:
    keys = [bytes(31) + bytes([last]) for last in range(200)]
    keys += [bytes([first]) + bytes(31) for first in range(1, 200)]
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write({key: vector(item) for item, key in enumerate(keys)}, {})
        np.testing.assert_array_equal(store.read(keys[::-1]), rows(range(len(keys) - 1, -1, -1)))
        assert store.lookup([b"\xff" * 32]) == ["new"]


class TestWhatIsKnown:
    def test_lookup(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            assert store.lookup([digest(1)]) == ["new"]
            store.write(vectors([1]), {digest(2): reason(2)})
            found = store.lookup([digest(2), digest(3), digest(1), digest(1)])
        assert found == ["failed", "new", "stored", "stored"]

    def test_a_stored_vector_is_kept(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors([1]), {})
            store.write({digest(1): vector(9), digest(2): vector(2)}, {digest(1): reason(1)})
            np.testing.assert_array_equal(store.read([digest(1), digest(2)]), rows([1, 2]))
            assert store.failures() == {}
            assert store.statistics().num_rows == 2

    def test_a_vector_clears_the_failure(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write({}, {digest(1): reason(1), digest(2): "naïve \ud800"})
            store.write(vectors([1]), {})
            assert store.failures() == {digest(2): "naïve ?"}
            assert store.lookup([digest(1), digest(2)]) == ["stored", "failed"]

    def test_forgotten_failures_are_new(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors([3]), {digest(1): reason(1), digest(2): reason(2)})
            store.forget_failures([digest(1), digest(3), digest(4)])
            found = store.lookup([digest(1), digest(2), digest(3)])
        assert found == ["new", "failed", "stored"]

    def test_statistics(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors(range(300)), {digest(999): reason(999)})
            found = store.statistics()
        assert (found.num_rows, found.num_failures) == (300, 1)
        assert found.bytes_of_rows == 300 * 1024
        assert found.bytes_on_disk == (store.directory / "data.mdb").stat().st_size
        assert found.bytes_on_disk < 1.5 * found.bytes_of_rows

    def test_folders_of_all_spaces(self, tmp_path: Path) -> None:
        assert feature_spaces(tmp_path) == []
        spaces = [SPACE, replace(SPACE, dim=7), replace(SPACE, extractor="audio_test")]
        for space in spaces:
            FeatureStore.open(tmp_path, space).close()
        (tmp_path / "files").mkdir()
        expected = sorted(tmp_path / space.extractor / space.fingerprint for space in spaces)
        assert feature_spaces(tmp_path) == expected

    def test_a_new_space_is_seen_with_its_description_or_not_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put, seen = space_description._put, []

        def describing(*arguments: Any) -> None:
            put(*arguments)
            seen.append(feature_spaces(tmp_path))

        monkeypatch.setattr(space_description, "_put", describing)
        FeatureStore.open(tmp_path, SPACE).close()
        assert seen == [[]]
        [directory] = feature_spaces(tmp_path)
        assert sorted(path.name for path in directory.iterdir()) == ["data.mdb", "lock.mdb"]


class TestRefused:
    @pytest.mark.parametrize(
        ("bad", "found"),
        [
            ({digest(1): vector(1)[:-1]}, r"shape \(511,\)"),
            ({digest(1): vector(1)[None]}, r"shape \(1, 512\)"),
            ({digest(1): vector(1).astype(np.float32)}, "dtype float32"),
            ({digest(1): np.full(512, np.nan, np.float16)}, "NaN or infinity"),
            ({digest(1): np.full(512, np.inf, np.float16)}, digest(1).hex()),
            ({b"short": vector(1)}, "digest of 5 bytes"),
        ],
    )
    def test_vectors(self, tmp_path: Path, bad: dict[bytes, np.ndarray], found: str) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            with pytest.raises(StoreError, match=found):
                store.write(vectors([5]) | bad, {digest(6): reason(6)})
            assert store.lookup([digest(5), digest(6), digest(1)]) == ["new"] * 3

    def test_a_failure_of_no_digest(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store, pytest.raises(StoreError, match="0 by"):
            store.write({}, {b"": "reason"})

    @pytest.mark.parametrize("num_stored", [0, 3, 500])
    def test_reading_what_is_absent(self, tmp_path: Path, num_stored: int) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors(range(num_stored)), {digest(1000): reason(1000)})
            for absent in (1000, 1001):
                asked = [digest(item) for item in (*range(num_stored), absent)]
                with pytest.raises(StoreError, match=f"no vector.*{digest(absent).hex()}"):
                    store.read(asked)

    def test_room_that_does_not_fit(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors([1, 2]), {})
            keys, targets = [digest(1), digest(2)], np.arange(2)
            for out in (np.zeros((2, 512), np.float32), np.zeros((2, 511), np.float16)):
                with pytest.raises(ValueError, match="allowed"):
                    store.read_into(keys, out, targets)
            for wrong in (targets - 1, targets + 1, targets[:1]):
                with pytest.raises(ValueError, match="targets"):
                    store.read_into(keys, np.zeros((2, 512), np.float16), wrong)

    def test_writing_through_a_handle_for_reading(self, tmp_path: Path) -> None:
        store = FeatureStore.open(tmp_path, SPACE)
        with store, FeatureStore.open_readonly(store.directory) as reader:
            with pytest.raises(StoreError, match="reading only"):
                reader.write(vectors([1]), {})
            with pytest.raises(StoreError, match="reading only"):
                reader.repair()

    def test_folders_that_hold_no_store(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"no data\.mdb"):
            FeatureStore.open_readonly(tmp_path / "absent")
        for content in (b"", b"text", bytes(8192)):
            (tmp_path / "data.mdb").write_bytes(content)
            with pytest.raises(StoreError):
                FeatureStore.open_readonly(tmp_path)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / SPACE.extractor).write_text("in the way")
        with pytest.raises(StoreError, match="cannot be made"):
            FeatureStore.open(tmp_path, SPACE)

    def test_the_folder_of_another_space(self, tmp_path: Path) -> None:
        FeatureStore.open(tmp_path, SPACE).close()
        other = replace(SPACE, parts={"version": 2})
        shutil.move(
            tmp_path / SPACE.extractor / SPACE.fingerprint,
            tmp_path / SPACE.extractor / other.fingerprint,
        )
        with pytest.raises(StoreError, match="another feature space"):
            FeatureStore.open(tmp_path, other)

    @pytest.mark.parametrize(
        "description",
        [
            b"",
            b"{",
            b"[]",
            b"[" * 100_000,
            b'{"dim": 512}',
            json.dumps(SPACE.describe() | {"dim": 0}).encode(),
            json.dumps(SPACE.describe() | {"dim": True}).encode(),
            json.dumps(SPACE.describe() | {"dim": 2**40}).encode(),
            json.dumps(SPACE.describe() | {"dtype": "object"}).encode(),
            json.dumps(SPACE.describe() | {"layout": []}).encode(),
            json.dumps(SPACE.describe() | {"parts": "x"}).encode(),
            json.dumps(SPACE.describe() | {"more": 1}).encode(),
        ],
    )
    def test_descriptions(self, tmp_path: Path, description: bytes) -> None:
        store = FeatureStore.open(tmp_path, SPACE)
        store.close()
        plain_store.put(store.directory, b"meta", b"space", description)
        with pytest.raises(StoreError, match="description"):
            FeatureStore.open_readonly(store.directory)
        assert store.verify() != []

    def test_another_version_of_the_format(self, tmp_path: Path) -> None:
        store = FeatureStore.open(tmp_path, SPACE)
        store.close()
        plain_store.put(store.directory, b"meta", b"format", b"2")
        with pytest.raises(StoreError, match="format b'2'"):
            FeatureStore.open(tmp_path, SPACE)


class TestHandles:
    def test_several_share_one_environment(self, tmp_path: Path) -> None:
        first = FeatureStore.open(tmp_path, SPACE)
        first.write(vectors([1]), {})
        linked = tmp_path / "link"
        linked.symlink_to(first.directory)
        reader = FeatureStore.open_readonly(linked)
        second = FeatureStore.open(tmp_path, SPACE)
        first.close()
        first.close()  # closing twice does no harm to the others
        second.write(vectors([2]), {})
        np.testing.assert_array_equal(reader.read([digest(1), digest(2)]), rows([1, 2]))
        second.close()
        np.testing.assert_array_equal(reader.read([digest(2)]), rows([2]))
        reader.close()
        assert len(plain_store.contents(first.directory)) == 2  # the file is closed

    def test_a_handle_for_reading_then_one_for_writing(self, tmp_path: Path) -> None:
        FeatureStore.open(tmp_path, SPACE).close()
        directory = tmp_path / SPACE.extractor / SPACE.fingerprint
        with FeatureStore.open_readonly(directory) as reader:
            assert reader.lookup([digest(1)]) == ["new"]
            with FeatureStore.open(tmp_path, SPACE) as writer:
                writer.write(vectors([1]), {})
                assert reader.lookup([digest(1)]) == ["stored"]
            assert reader.lookup([digest(1)]) == ["stored"]

    def test_pickled(self, tmp_path: Path) -> None:
        with FeatureStore.open(tmp_path, SPACE) as store:
            store.write(vectors([1]), {})
            with pickle.loads(pickle.dumps(store)) as copy:  # noqa: S301 - our own bytes
                copy.write(vectors([2]), {})
        reader = FeatureStore.open_readonly(store.directory)
        with reader, pickle.loads(pickle.dumps(reader)) as copy:  # noqa: S301 - our own bytes
            np.testing.assert_array_equal(copy.read([digest(2)]), rows([2]))
            with pytest.raises(StoreError, match="reading only"):
                copy.write(vectors([3]), {})

    def test_the_map_grows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening, "INITIAL_MAP_BYTES", 2**17)
        with FeatureStore.open(tmp_path, SPACE) as store:
            for start in range(0, 3000, 1000):
                store.write(vectors(range(start, start + 1000)), {})
            found = store.read([digest(item) for item in range(3000)])
            np.testing.assert_array_equal(found, rows(range(3000)))
            assert store.verify() == []

    def test_threads_write_and_read_while_the_map_grows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening, "INITIAL_MAP_BYTES", 2**17)
        errors: list[BaseException] = []

        def work(thread: int) -> None:
            try:
                for start in range(0, 600, 60):
                    items = range(start, start + 60)  # the same ones in every thread
                    store.write(vectors(items), {})
                    found = store.read([digest(item) for item in items])
                    np.testing.assert_array_equal(found, rows(items))
            except BaseException as error:
                errors.append(error)

        with FeatureStore.open(tmp_path, SPACE) as store:
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert errors == []
            assert store.statistics().num_rows == 600
            assert store.verify() == []
