"""Opening a store: damaged pages, odd files, another user's, too few descriptors, a busy writer."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest
from store_items import SPACE, digest, reason, rows, vectors

from storage.errors import DamagedStoreError, MocmeError, StoreError
from storage.features import pages
from storage.features.backup import copy_store
from storage.features.file_index import FileIndex
from storage.features.garbage import collect_garbage
from storage.features.store import FeatureStore, feature_spaces, space_folder
from storage.features.verification import Repair, repair_folder, verify_store

NUM_ROWS = 400
OLD = time.time() - 3600


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    """A store in a folder that every user can read, with a few commits and an index of files."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for start in range(0, NUM_ROWS, 100):
        with FeatureStore.open(root / "store", SPACE) as store:
            store.write(vectors(range(start, start + 100)), {digest(1000 + start): reason(start)})
    (root / "files").mkdir()
    for number in range(50):
        (root / f"files/{number}").write_text(f"{number}")
        os.utime(root / f"files/{number}", (OLD, OLD))
    yield root
    shutil.rmtree(root)


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A copy of that store."""
    return Path(shutil.copytree(pristine / "store", tmp_path / "store"))


def in_child(action: Callable[[], object], *, as_nobody: bool = False) -> int:
    """Do something in a process of its own; return 2 for an error of ours, or the signal's -n."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        code = 7
        try:
            if as_nobody:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            action()
            code = 0
        except MocmeError:
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read_all(root: Path) -> None:
    """Read every vector that is there; each is right, or an error."""
    with FeatureStore.open_readonly(space_folder(root, SPACE)) as store:
        states = store.lookup([digest(item) for item in range(NUM_ROWS)])
        there = [item for item in range(NUM_ROWS) if states[item] == "stored"]
        np.testing.assert_array_equal(store.read([digest(item) for item in there]), rows(there))
        store.statistics()
        store.failures()


def write_more(root: Path) -> None:
    with FeatureStore.open(root, SPACE) as store:
        store.write(vectors(range(NUM_ROWS, NUM_ROWS + 300)), {})
        read_all(root)


def flip_page_kinds(content: bytearray) -> None:
    for at in range(8192, len(content), 4096):
        content[at + 10] ^= 0x40


ACTIONS: list[Callable[[Path], object]] = [
    read_all,
    write_more,
    lambda root: copy_store(root, root.with_name("copy")),
    lambda root: collect_garbage(root, {space_folder(root, SPACE): {digest(1)}}),
    lambda root: collect_garbage(root, {}),
    lambda root: [repair_folder(directory) for directory in feature_spaces(root)],
]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("is_structure", [True, False])
def test_flipped_bits_never_kill_a_process(root: Path, seed: int, is_structure: bool) -> None:
    path = space_folder(root, SPACE) / "data.mdb"
    content, rng = bytearray(path.read_bytes()), random.Random(seed)  # noqa: S311 - no secret
    starts = range(0, len(content), 4096)
    if is_structure:  # pages of trees and the two that all others hang from
        starts = [at for at in starts if at < 8192 or content[at + 10] in (1, 2)]
    for _ in range(50 if seed % 2 else 2):
        content[rng.choice(starts) + rng.randrange(4096)] ^= 1 << rng.randrange(8)
    for action in ACTIONS:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        assert in_child(lambda action=action: action(root)) in (0, 2)


def test_the_error_names_folder_damage_and_remedy(root: Path) -> None:
    path = space_folder(root, SPACE) / "data.mdb"
    content = bytearray(path.read_bytes())
    flip_page_kinds(content)
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError) as caught:
        FeatureStore.open(root, SPACE)
    assert str(caught.value).startswith(f"{path.parent}: found damaged pages in data.mdb (")
    assert "restore this folder from a copy, or delete it and run again" in str(caught.value)
    assert "\n" not in str(caught.value)


class TestWhatIsRemembered:
    @pytest.fixture(autouse=True)
    def old_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pages, "RACY_NS", -(10**12))

    @pytest.fixture
    def walks(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        walk, found = pages._walk, list[Path]()
        monkeypatch.setattr(pages, "_walk", lambda folder: (found.append(folder), walk(folder))[1])
        return found

    def test_an_unchanged_file_is_checked_once(self, root: Path, walks: list[Path]) -> None:
        FeatureStore.open(root, SPACE).close()  # writes down that the file is sound
        for _ in range(3):
            read_all(root)
        assert len(walks) == 1

    @pytest.mark.parametrize("record", [b"", b"[]", b"null", b"[" * 4000, b"\xff", b"[1,2,3,4]"])
    def test_whatever_stands_in_the_record(
        self, root: Path, walks: list[Path], record: bytes
    ) -> None:
        (space_folder(root, SPACE) / pages.CHECKED_FILE).write_bytes(record)
        read_all(root)
        assert len(walks) == 1

    def test_a_changed_file_is_checked_again(self, root: Path, walks: list[Path]) -> None:
        read_all(root)
        path = space_folder(root, SPACE) / "data.mdb"
        before, content = path.stat(), bytearray(path.read_bytes())
        flip_page_kinds(content)
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # nobody can set a ctime
        with pytest.raises(DamagedStoreError):
            read_all(root)
        assert len(walks) > 1

    def test_a_verification_trusts_nothing(self, root: Path, walks: list[Path]) -> None:
        for _ in range(2):
            assert verify_store(space_folder(root, SPACE)) == []
        assert len(walks) >= 2


class TestOddFiles:
    @pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
    @pytest.mark.parametrize("kind", ["FIFO", "folder", "link to nothing"])
    @pytest.mark.parametrize("writable", [True, False])
    def test_are_refused_by_name(self, root: Path, name: str, kind: str, writable: bool) -> None:
        path = space_folder(root, SPACE) / name
        path.unlink(missing_ok=True)
        if kind == "FIFO":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(path.with_name("absent"))
        with pytest.raises(StoreError, match=str(path.parent)):
            FeatureStore.open(root, SPACE) if writable else verify_store(path.parent)
        assert not path.with_name("absent").exists()

    def test_a_lock_file_that_is_a_link_writes_nothing_through_it(self, root: Path) -> None:
        victim = root / "thesis.tex"
        victim.write_text("years of work")
        lock = space_folder(root, SPACE) / "lock.mdb"
        lock.unlink(missing_ok=True)
        lock.symlink_to(victim)
        with pytest.raises(StoreError, match=r"lock\.mdb: found no regular file"):
            FeatureStore.open(root, SPACE)
        assert victim.read_text() == "years of work"

    def test_an_empty_file_is_damaged_for_readers_and_new_for_writers(self, root: Path) -> None:
        directory = space_folder(root, SPACE)
        os.truncate(directory / "data.mdb", 0)
        assert "not an LMDB data file" in verify_store(directory)[0].what
        with pytest.raises(DamagedStoreError, match="found an empty"):
            FeatureStore.open_readonly(directory)
        with FeatureStore.open(root, SPACE) as store:
            store.write(vectors([1]), {})
        assert verify_store(directory) == []

    def test_another_programs_file_is_not_written_to(self, root: Path) -> None:
        directory = space_folder(root, SPACE)
        shutil.rmtree(directory)
        directory.mkdir()
        with lmdb.open(str(directory)) as theirs, theirs.begin(write=True) as transaction:
            transaction.put(b"their key", b"their value")
        before = (directory / "data.mdb").read_bytes()
        with pytest.raises(StoreError, match="another program's LMDB file"):
            FeatureStore.open(root, SPACE)
        assert (directory / "data.mdb").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
class TestAnotherUsersStore:
    """What root has written, read by a user that may not write it."""

    @pytest.mark.parametrize("has_lock", [True, False])
    def test_is_read(self, pristine: Path, has_lock: bool) -> None:
        root = pristine / "store"
        for lock in root.rglob("lock.mdb"):
            if not has_lock:
                lock.unlink()

        def use() -> None:
            directory = space_folder(root, SPACE)
            assert verify_store(directory) == []
            assert repair_folder(directory) == Repair([])
            read_all(root)
            with FeatureStore.open(root, SPACE) as store:
                assert not store.is_writable
                assert store.lookup([digest(1), digest(9999)]) == ["stored", "new"]
                with pytest.raises(StoreError, match="cannot be written"):
                    store.write(vectors([9999]), {})
            with tempfile.TemporaryDirectory() as target:
                copy_store(root, Path(target))

        assert in_child(use, as_nobody=True) == 0

    def test_its_index_of_files_is_used(
        self, pristine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, names = pristine / "store", [f"{number}" for number in range(50)]
        monkeypatch.setattr("storage.features.file_index.RACY_NS", -(10**12))
        with FileIndex.open(root) as index:
            expected = index.digests(pristine / "files", names)
        monkeypatch.setattr(
            "storage.features.file_index.hash_files", lambda paths: [*map(int, paths)]
        )

        def use() -> None:
            with FileIndex.open(root) as index:
                assert index.digests(pristine / "files", names) == expected

        assert in_child(use, as_nobody=True) == 0

    def test_what_may_not_be_read_is_no_damage(self, pristine: Path) -> None:
        directory = space_folder(pristine / "store", SPACE)

        def use() -> None:
            with pytest.raises(StoreError, match="Permission denied") as caught:
                repair_folder(directory)
            assert not isinstance(caught.value, DamagedStoreError)
            assert "delete" not in str(caught.value)

        (directory / "data.mdb").chmod(0o600)
        try:
            assert in_child(use, as_nobody=True) == 0
        finally:
            (directory / "data.mdb").chmod(0o644)


def test_too_many_open_files_are_no_damage(root: Path) -> None:
    def use() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 64))  # those that are open
        with pytest.raises(StoreError, match="Too many open files") as caught:
            verify_store(space_folder(root, SPACE))
        assert not isinstance(caught.value, DamagedStoreError)

    assert in_child(use) == 0


def test_a_full_table_of_readers_is_no_damage(root: Path) -> None:
    program = (
        "import lmdb, sys\n"
        "raw = lmdb.open(sys.argv[1], readonly=True, max_spare_txns=0)\n"
        "held = [raw.begin() for _ in range(126)]\n"
        "print('full', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, str(space_folder(root, SPACE))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"full\n"
        with pytest.raises(StoreError, match="READERS_FULL") as caught:
            verify_store(space_folder(root, SPACE))
        assert not isinstance(caught.value, DamagedStoreError)


def test_a_reader_without_a_lock_notices_that_pages_were_reused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = space_folder(root, SPACE)
    monkeypatch.setattr("storage.features.opening._prepare_lock", lambda *_, **__: False)

    def read_beside(num_commits: int) -> None:
        with store._environment.read():
            words = [sys.executable, "-c", COMMITS, str(directory), str(num_commits)]
            subprocess.run(words, check=True)

    with FeatureStore.open_readonly(directory) as store:
        for num_commits in (0, 1):
            read_beside(num_commits)
        with pytest.raises(StoreError, match="written to while it was read"):
            read_beside(2)


COMMITS = """
import lmdb, sys
with lmdb.open(sys.argv[1], max_dbs=4) as raw:
    for number in range(int(sys.argv[2])):
        with raw.begin(write=True) as transaction:
            transaction.put(b"x", str(number).encode(), db=raw.open_db(b"meta", transaction))
"""
