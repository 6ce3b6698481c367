"""Merging shards: killed at any commit, twice, two at once, with failures, of another space."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import plain_store
import pytest
from store_items import SPACE, digest, reason, vector, vectors

from storage.errors import DamagedStoreError, StoreError
from storage.features import shards
from storage.features.lock import InUseError, owning
from storage.features.shards import adopt_shards, merge_shard, shard_folder, shard_spaces
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, space_folder
from storage.features.verification import verify_store

NUM_ITEMS = 100


def write_shard(root: Path, name: str, items: Iterable[int]) -> None:
    """Make a shard as a worker does; every tenth item has failed."""
    good = [item for item in items if item % 10]
    with FeatureStore.open(shard_folder(root, name), SPACE) as shard:
        shard.write(vectors(good), {digest(i): reason(i) for i in items if i % 10 == 0})


def expected(items: Iterable[int]) -> dict[bytes, bytes | str]:
    return {digest(i): vector(i).tobytes() if i % 10 else reason(i) for i in items}


def contents(root: Path) -> dict[bytes, bytes | str]:
    return plain_store.contents(space_folder(root, SPACE))


def merge(root: Path, *names: str) -> None:
    with FeatureStore.open(root, SPACE) as store:
        for name in names:
            merge_shard(store, root, name)


def test_vectors_and_failures_travel_and_the_shard_goes(tmp_path: Path) -> None:
    write_shard(tmp_path, "a", range(60))
    write_shard(tmp_path, "b", range(50, NUM_ITEMS))
    merge(tmp_path, "a", "b")
    assert contents(tmp_path) == expected(range(NUM_ITEMS))
    assert verify_store(space_folder(tmp_path, SPACE)) == []
    assert shard_spaces(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [SPACE.extractor]


def test_merging_twice_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        write_shard(tmp_path, "a", range(NUM_ITEMS))
        merge(tmp_path, "a")
        merge(tmp_path, "a")  # it is gone
        assert contents(tmp_path) == expected(range(NUM_ITEMS))
    assert sum(plain_store.block_sizes(space_folder(tmp_path, SPACE))) == NUM_ITEMS * 9 // 10


def test_a_vector_clears_an_earlier_failure_and_no_failure_hides_a_vector(tmp_path: Path) -> None:
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write(vectors([10]), {digest(1): "an earlier reason", digest(20): "another"})
    write_shard(tmp_path, "a", [1, 10, 20])
    merge(tmp_path, "a")
    assert contents(tmp_path) == {**expected([1, 20]), digest(10): vector(10).tobytes()}


class TestKilled:
    """A child is killed at a moment; what the next merge leaves is what an undisturbed one does."""

    @pytest.fixture(autouse=True)
    def small_commits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shards, "_ROWS_PER_COMMIT", 16)

    @pytest.mark.parametrize("num_commits", range(7))
    def test_before_any_commit(
        self, num_commits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_shard(tmp_path, "a", range(NUM_ITEMS))
        write = FeatureStore.write
        calls = iter(range(NUM_ITEMS))

        def killed(store: FeatureStore, *batch: dict[bytes, object]) -> None:
            if next(calls) == num_commits:
                os.kill(os.getpid(), signal.SIGKILL)
            write(store, *batch)  # type: ignore[arg-type]

        monkeypatch.setattr(FeatureStore, "write", killed)
        assert die(lambda: merge(tmp_path, "a"))
        monkeypatch.undo()
        before = contents(tmp_path)
        assert len(before) == min(16 * num_commits, 90)
        assert before.items() <= expected(range(NUM_ITEMS)).items()
        self.check_that_the_next_merge_ends_it(tmp_path)

    @pytest.mark.parametrize("num_deleted", range(4))  # lock, data, and two files of locks
    def test_while_the_shard_is_deleted(
        self, num_deleted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_shard(tmp_path, "a", range(NUM_ITEMS))
        FeatureStore.open(tmp_path, SPACE).close()
        unlink, calls = os.unlink, iter(range(NUM_ITEMS))

        def killed(path: str, *, dir_fd: int | None = None) -> None:
            if dir_fd is not None and next(calls) == num_deleted:
                os.kill(os.getpid(), signal.SIGKILL)
            unlink(path, dir_fd=dir_fd)

        monkeypatch.setattr(os, "unlink", killed)
        assert die(lambda: merge(tmp_path, "a"))
        monkeypatch.undo()
        assert contents(tmp_path) == expected(range(NUM_ITEMS))
        self.check_that_the_next_merge_ends_it(tmp_path)

    def check_that_the_next_merge_ends_it(self, root: Path) -> None:
        with FeatureStore.open(root, SPACE) as store:
            adopt_shards(store, root)
        assert contents(root) == expected(range(NUM_ITEMS))
        assert verify_store(space_folder(root, SPACE)) == []
        assert shard_spaces(root) == []


def die(action: Callable[[], None]) -> bool:
    """Do something in a child; return whether it was killed."""
    child = os.fork()
    if not child:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_two_merges_at_once(tmp_path: Path) -> None:
    names = [f"shard-{number}" for number in range(10)]
    for number, name in enumerate(names):
        write_shard(tmp_path, name, range(10 * number, 10 * number + 10))
    children = [os.fork(), 0]
    if not children[0]:
        merge(tmp_path, *reversed(names))
        os._exit(0)
    merge(tmp_path, *names)
    assert os.waitpid(children[0], 0)[1] == 0
    assert contents(tmp_path) == expected(range(NUM_ITEMS))
    assert verify_store(space_folder(tmp_path, SPACE)) == []
    assert shard_spaces(tmp_path) == []


def test_another_feature_space_is_refused_and_kept(tmp_path: Path) -> None:
    other = FeatureSpace("image_test", {"version": 2}, dim=8, dtype="float16")
    with FeatureStore.open(shard_folder(tmp_path, "a"), other) as shard:
        shard.write(vectors([1], other), {})
    with pytest.raises(StoreError, match=f"found vectors of image_test/{other.fingerprint}; allo"):
        merge(tmp_path, "a")
    with FeatureStore.open(tmp_path, SPACE) as store:
        adopt_shards(store, tmp_path)  # which is for those of its own space
        assert store.digests() == []
    assert len(shard_spaces(tmp_path)) == 1


def test_what_somebody_is_at_work_in_is_not_adopted_but_waited_for(tmp_path: Path) -> None:
    write_shard(tmp_path, "a", range(20))
    with FeatureStore.open(tmp_path, SPACE) as store:
        with owning(shard_folder(tmp_path, "a")):
            adopt_shards(store, tmp_path)
            assert store.digests() == []
            merging = threading.Thread(target=merge_shard, args=(store, tmp_path, "a"))
            merging.start()
            merging.join(0.2)
            assert merging.is_alive()
        merging.join()
    assert contents(tmp_path) == expected(range(20))


def test_a_folder_that_is_deleted_while_it_is_waited_for_is_made_anew(tmp_path: Path) -> None:
    folder = shard_folder(tmp_path, "a")
    with owning(folder):
        with pytest.raises(InUseError, match="found another process at work"):
            owning(folder, wait=False).__enter__()
        waiting = threading.Thread(target=write_as_owner, args=(tmp_path,))
        waiting.start()
        waiting.join(0.2)
        shards.delete_shard(space_folder(folder, SPACE))
    waiting.join()
    merge(tmp_path, "a")
    assert contents(tmp_path) == expected(range(20))


def write_as_owner(root: Path) -> None:
    with owning(shard_folder(root, "a")):
        write_shard(root, "a", range(20))


def test_of_a_shard_with_a_damaged_row_the_others_travel(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_shard(tmp_path, "a", range(20))
    plain_store.flip(space_folder(shard_folder(tmp_path, "a"), SPACE), vector(3).tobytes()[:16])
    merge(tmp_path, "a")
    assert contents(tmp_path).items() <= expected(range(20)).items()
    assert shard_spaces(tmp_path) == []
    assert "will be extracted again" in caplog.text


@pytest.mark.parametrize("num_bytes", [0, 5000])
def test_a_shard_that_cannot_be_read_is_named_and_kept(
    num_bytes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_shard(tmp_path, "a", range(20))
    directory = space_folder(shard_folder(tmp_path, "a"), SPACE)
    os.truncate(directory / "data.mdb", num_bytes)
    with pytest.raises(DamagedStoreError, match=str(directory)):
        merge(tmp_path, "a")
    with FeatureStore.open(tmp_path, SPACE) as store:
        adopt_shards(store, tmp_path)
    assert str(directory) in caplog.text
    assert shard_spaces(tmp_path) == [directory]


def test_what_else_lies_in_a_shards_folder_stays(tmp_path: Path) -> None:
    write_shard(tmp_path, "a", range(20))
    folder = shard_folder(tmp_path, "a")
    notes = [folder / "notes.txt", space_folder(folder, SPACE) / "notes.txt"]
    for path in notes:
        path.write_text("kept")
    merge(tmp_path, "a")
    assert shard_spaces(tmp_path) == []
    assert [path.read_text() for path in notes] == ["kept", "kept"]
