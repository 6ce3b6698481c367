"""Collecting garbage deletes what mocme has made, and nothing that lies beside or looks alike."""

import os
import shutil
from pathlib import Path

import lmdb
import pytest
from store_items import SPACE, digest, vectors

from storage.errors import StoreError
from storage.features.backup import copy_store
from storage.features.garbage import collect_garbage, find_garbage
from storage.features.shards import shard_folder
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, space_folder

OTHER = FeatureSpace("text_test", {}, dim=8, dtype="float32")


def make(root: Path, space: FeatureSpace = SPACE) -> Path:
    with FeatureStore.open(root, space) as store:
        store.write(vectors(range(10), space), {})
        return store.directory


def make_foreign(directory: Path) -> None:
    """Make another program's LMDB file."""
    directory.mkdir(parents=True)
    with lmdb.open(str(directory), max_dbs=1) as theirs, theirs.begin(write=True) as transaction:
        transaction.put(b"key", b"value", db=theirs.open_db(b"meta", transaction))


def listing(root: Path) -> dict[str, bytes | None]:
    """Return every file's content by path, links followed."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


def test_a_space_goes_with_its_extractors_folder(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / ".data.mdb.host-1-0123456789abcdef.part").touch()
    assert [found.left for found in find_garbage(tmp_path, {})] == [None]
    assert [found.num_vectors for found in collect_garbage(tmp_path, {})] == [10]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_lies_beside_a_space_stays(tmp_path: Path) -> None:
    directory = make(tmp_path)
    names = ["notes.txt", ".data.mdb.part", "data.mdb.bak", "lock", "data.mdb~"]
    for name in names:
        (directory / name).write_text("kept")
    (directory / "folder").mkdir()
    (directory.parent / "paper.pdf").write_text("kept")
    collect_garbage(tmp_path, {})
    assert sorted(path.name for path in directory.iterdir()) == sorted([*names, "folder"])
    assert (directory.parent / "paper.pdf").read_text() == "kept"


@pytest.mark.parametrize(
    "place",
    [
        "mail/index",
        f"mail/{'0' * 32}",
        f"{SPACE.extractor}/mine",
        f"{SPACE.extractor}/{'0' * 32}",
        f".shards/mine/mail/{'0' * 32}",
        ".shards/mail/index",
        ".shards",
        ".garbage",
        f".garbage/tmp12345678/mail/{'0' * 32}",
        "files",
    ],
)
def test_another_programs_files_stay_as_they_are(tmp_path: Path, place: str) -> None:
    make(tmp_path)
    make_foreign(tmp_path / place)
    (tmp_path / place / "notes.txt").write_text("kept")
    # a lock file holds nothing but who reads now
    kept = {str(path.relative_to(tmp_path)) for path in (tmp_path / place).glob("[dn]*")}
    before = {name: listing(tmp_path)[name] for name in kept}
    assert len(before) == 2
    for _ in range(2):
        collect_garbage(tmp_path, {})
    after = listing(tmp_path)
    assert before.items() <= after.items()
    assert not space_folder(tmp_path, SPACE).exists()


@pytest.mark.parametrize("where", ["extractor", "space", "data"])
def test_nothing_goes_through_a_link(tmp_path: Path, where: str) -> None:
    directory = make(tmp_path / "elsewhere")
    link = {
        "extractor": Path(SPACE.extractor),
        "space": Path(SPACE.extractor, SPACE.fingerprint),
        "data": Path(SPACE.extractor, SPACE.fingerprint, "data.mdb"),
    }[where]
    (tmp_path / "store" / link).parent.mkdir(parents=True)
    (tmp_path / "store" / link).symlink_to(tmp_path / "elsewhere" / link)
    before = (directory / "data.mdb").read_bytes()
    for used in ({}, {space_folder(tmp_path / "store", SPACE): {digest(1)}}):
        [found] = collect_garbage(tmp_path / "store", used)
        assert "symbolic link" in str(found.left)
    assert (directory / "data.mdb").read_bytes() == before
    assert (tmp_path / "store" / link).is_symlink()


def test_a_space_in_another_ones_folder_stays(tmp_path: Path) -> None:
    directory = make(tmp_path)
    other = directory.with_name("0" * 32)
    shutil.copytree(directory, other)
    left = {found.directory: found.left for found in collect_garbage(tmp_path, {})}
    assert left[directory] is None
    assert "allowed: deleting one that the folder is named after" in str(left[other])
    assert (other / "data.mdb").exists()


@pytest.mark.parametrize("num_bytes", [0, 100, 9000])
def test_what_cannot_be_read_is_named_and_stays(tmp_path: Path, num_bytes: int) -> None:
    directory = make(tmp_path)
    shutil.copytree(directory, space_folder(shard_folder(tmp_path, "a"), SPACE))
    for path in tmp_path.rglob("data.mdb"):
        os.truncate(path, num_bytes)
    found = collect_garbage(tmp_path, {})
    assert len(found) == 2
    assert all(str(it.directory) in str(it.left) for it in found)
    assert {path.stat().st_size for path in tmp_path.rglob("data.mdb")} == {num_bytes}


class TestCopy:
    def test_replaces_its_own_copy_only(self, tmp_path: Path) -> None:
        make(tmp_path / "store")
        make(tmp_path / "store", OTHER)
        directory = space_folder(tmp_path / "copy", SPACE)
        make_foreign(directory)
        before = listing(directory)
        with pytest.raises(StoreError, match=str(directory)):
            copy_store(tmp_path / "store", tmp_path / "copy")
        assert {**listing(directory), "lock.mdb": b""} == {**before, "lock.mdb": b""}
        assert (space_folder(tmp_path / "copy", OTHER) / "data.mdb").exists()  # all the same

    @pytest.mark.parametrize("link", [SPACE.extractor, f"{SPACE.extractor}/{SPACE.fingerprint}"])
    def test_writes_through_no_link(self, tmp_path: Path, link: str) -> None:
        make(tmp_path / "store")
        (tmp_path / "copy" / link).parent.mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "copy" / link).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="symbolic link"):
            copy_store(tmp_path / "store", tmp_path / "copy")
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_removes_what_a_killed_copy_left(self, tmp_path: Path) -> None:
        make(tmp_path / "store")
        [copied] = copy_store(tmp_path / "store", tmp_path / "copy")
        (copied / ".data.mdb.host-1-0123456789abcdef.part").touch()
        (copied / ".data.mdb.part").touch()
        copy_store(tmp_path / "store", tmp_path / "copy")
        names = {path.name for path in copied.iterdir()}
        assert names - {"lock.mdb", "checked.json"} == {"data.mdb", ".data.mdb.part"}
