"""The feature store among processes: killed, forked, two at once, read meanwhile, a full disk.

What is stored is compared by plain LMDB calls with what an undisturbed run stores.
"""

import errno
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import plain_store
import pytest
import store_writer
from store_items import SPACE, digest, reason, rows, vector, vectors

from storage.errors import StoreError
from storage.features import opening
from storage.features.store import FeatureStore

DIRECTORY = Path(SPACE.extractor) / SPACE.fingerprint


def expected(num_items: int) -> dict[bytes, bytes | str]:
    """Return what an undisturbed run leaves."""
    return {
        digest(item): reason(item) if store_writer.fails(item) else vector(item).tobytes()
        for item in range(num_items)
    }


def start_writer(root: Path, *arguments: int) -> subprocess.Popen[str]:
    """Start a writer and return when it has opened the store."""
    command = [sys.executable, store_writer.__file__, str(root), *map(str, arguments)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def test_killed_at_any_moment(tmp_path: Path) -> None:
    num_items = 1600
    moments = random.Random(7)  # noqa: S311 - no secret
    full = expected(num_items)
    num_done, was_cut_short = 0, False
    for _ in range(3):
        with start_writer(tmp_path, 0, num_items, 8) as writer:
            assert writer.stdout is not None
            num_read = moments.randrange(1, 40)  # by its own pace, however busy the machine is
            for _ in range(num_read):
                writer.stdout.readline()
            writer.kill()
            num_reported = 8 * (num_read + len(writer.stdout.readlines()))
        found = plain_store.contents(tmp_path / DIRECTORY)
        assert found.items() <= full.items()
        assert len(found) >= max(num_done, num_reported)  # what was said to be stored is stored
        num_done = len(found)
        was_cut_short |= 0 < num_done < num_items
        with FeatureStore.open_readonly(tmp_path / DIRECTORY) as store:
            assert store.verify() == []
    assert was_cut_short
    store_writer.main(str(tmp_path), "0", str(num_items), "100")
    assert plain_store.contents(tmp_path / DIRECTORY) == full


def test_two_writers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They store overlapping items, and each outgrows the map that the other one has."""
    monkeypatch.setattr(opening, "INITIAL_MAP_BYTES", 2**17)
    with (
        FeatureStore.open(tmp_path, SPACE) as store,
        start_writer(tmp_path, 0, 900, 30) as writer,
    ):
        for start in range(870, -1, -30):
            good = [item for item in range(start, start + 30) if not store_writer.fails(item)]
            store.write(vectors(good), {})
            assert store.lookup([digest(start)]) == ["stored"]
        assert writer.wait() == 0
        assert store.statistics().num_rows == 810
        assert store.verify() == []
    assert plain_store.contents(tmp_path / DIRECTORY) == expected(900)
    assert sum(plain_store.block_sizes(tmp_path / DIRECTORY)) == 810  # nothing was stored twice


def test_read_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot is whole, also beyond the map: of a batch every vector is there, or none."""
    monkeypatch.setattr(opening, "INITIAL_MAP_BYTES", 2**17)
    with start_writer(tmp_path, 0, 1500, 20) as writer:
        num_seen = 0
        with FeatureStore.open_readonly(tmp_path / DIRECTORY) as store:
            while writer.poll() is None:
                states = store.lookup([digest(item) for item in range(1500)])
                known = [item for item, state in enumerate(states) if state != "new"]
                assert known == list(range(len(known)))
                assert len(known) % 20 == 0
                assert len(known) >= num_seen
                good = [item for item in known if not store_writer.fails(item)]
                found = store.read([digest(item) for item in good[-50:]])
                np.testing.assert_array_equal(found, rows(good[-50:]))
                assert store.verify() == []
                num_seen = len(known)
            assert store.statistics().num_rows == 1350
        assert writer.returncode == 0


def test_used_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write(vectors([0]), {})
        child = os.fork()
        if child == 0:
            try:
                np.testing.assert_array_equal(store.read([digest(0)]), rows([0]))
                store.write(vectors([1]), {})
            except BaseException:
                os._exit(1)
            os._exit(0)
        store.write(vectors([2]), {})
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(store.read([digest(i) for i in range(3)]), rows(range(3)))
        assert store.verify() == []


def test_a_child_inherits_no_open_file(tmp_path: Path) -> None:
    """LMDB forbids a child to use, or to close, what was open when it was forked."""
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write(vectors([0]), {})
        child = os.fork()
        if child == 0:
            try:
                assert len(plain_store.contents(store.directory)) == 1
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def test_a_killed_reader_does_not_keep_old_pages(tmp_path: Path) -> None:
    FeatureStore.open(tmp_path, SPACE).close()
    code = """
import sys, time
import lmdb
with lmdb.open(sys.argv[1]) as environment, environment.begin():
    print("reading", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(tmp_path / DIRECTORY)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
    killed, living = readers
    killed.kill()
    killed.communicate()
    FeatureStore.open(tmp_path, SPACE).close()
    with lmdb.open(str(tmp_path / DIRECTORY)) as plain:
        assert str(killed.pid) not in plain.readers()
        assert str(living.pid) in plain.readers()
    living.kill()
    living.communicate()


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the file's size: the error says so, and nothing that was stored is lost."""
    limit = 2**20
    writer = start_writer(tmp_path, 0, 2000, 50, limit)
    output, errors = writer.communicate()
    assert writer.returncode == 1
    num_reported = 50 * len(output.splitlines())
    assert 0 < num_reported < 2000
    assert "StoreError" in errors
    assert str(DIRECTORY) in errors
    assert "what it held is kept (is the disk full?)" in errors
    found = plain_store.contents(tmp_path / DIRECTORY)
    assert found == expected(num_reported)
    store_writer.main(str(tmp_path), "0", "2000", "500")
    assert plain_store.contents(tmp_path / DIRECTORY) == expected(2000)
    with FeatureStore.open_readonly(tmp_path / DIRECTORY) as store:
        assert store.verify() == []


def test_a_store_that_goes_on_after_a_full_disk(tmp_path: Path) -> None:
    """The same handle stores on once there is room again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with FeatureStore.open(tmp_path, SPACE) as store:
        store.write(vectors(range(10)), {})
        size = (store.directory / "data.mdb").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(StoreError, match="what it held is kept"):
                store.write(vectors(range(10, 2000)), {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert store.lookup([digest(9), digest(10)]) == ["stored", "new"]
        store.write(vectors(range(10, 2000)), {})
        found = store.read([digest(item) for item in range(2000)])
        np.testing.assert_array_equal(found, rows(range(2000)))


def test_a_disk_that_is_full_before_the_lock_file_has_its_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LMDB would map a file with holes, and the kernel kill the process by SIGBUS."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match="No space left on device"):
        FeatureStore.open(tmp_path, SPACE)
    monkeypatch.undo()
    with FeatureStore.open(tmp_path, SPACE) as store:
        assert (store.directory / "lock.mdb").stat().st_blocks * 512 >= 8192
