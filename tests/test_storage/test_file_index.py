"""The file index: what is read again, what is not, and what is no file."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import plain_store
import pytest

from storage.features import file_digest, file_index
from storage.features.file_digest import FileDigest, numbers_digest, text_digest
from storage.features.file_index import FileIndex
from storage.files.file_access import FileProblem, FileSignature


def blake2b(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=32).digest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset's folder with three files that are older than 2 s, as far as the index can tell."""
    root = tmp_path / "dataset"
    (root / "pictures").mkdir(parents=True)
    for name in ("a.png", "pictures/b.png", "pictures/c.png"):
        (root / name).write_bytes(name.encode())
    return root


@pytest.fixture
def index(tmp_path: Path) -> Iterator[FileIndex]:
    with FileIndex.open(tmp_path / "store") as index:
        yield index


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass since everything was written."""
    now = time.time_ns
    monkeypatch.setattr(file_index.time, "time_ns", lambda: now() + 60 * 10**9)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were read."""
    names: list[str] = []
    original = file_digest._hash_file

    def hash_file(path: str) -> FileDigest | FileProblem:
        names.append(Path(path).name)
        return original(path)

    monkeypatch.setattr(file_digest, "_hash_file", hash_file)
    return names


def digest_of(index: FileIndex, root: Path, path: str) -> bytes:
    (found,) = index.digests(root, [path])
    assert isinstance(found, FileDigest)
    return found.digest


def reason_of(index: FileIndex, root: Path, path: str) -> str:
    (found,) = index.digests(root, [path])
    assert isinstance(found, FileProblem)
    return found.reason


def test_digests_are_of_the_bytes(index: FileIndex, root: Path) -> None:
    paths = ["pictures/c.png", "a.png", "absent.png", "pictures/c.png"]
    found = index.digests(root, paths)
    for path, file in zip(paths, found, strict=True):
        if path == "absent.png":
            assert file == FileProblem("absent")
        else:
            assert file == FileDigest(
                blake2b(path.encode()), FileSignature.of((root / path).stat())
            )
    assert index.digests(root, []) == []


def test_a_big_file(index: FileIndex, root: Path) -> None:
    content = bytes(range(256)) * 20_000
    (root / "big.bin").write_bytes(content)
    (root / "empty.bin").write_bytes(b"")
    assert digest_of(index, root, "big.bin") == blake2b(content)
    assert digest_of(index, root, "empty.bin") == blake2b(b"")


@pytest.mark.usefixtures("later")
class TestReadAgain:
    def test_not_when_unchanged(
        self, index: FileIndex, root: Path, hashed: list[str], tmp_path: Path
    ) -> None:
        paths = ["a.png", "pictures/b.png"]
        first = index.digests(root, paths)
        assert sorted(hashed) == ["a.png", "b.png"]
        assert index.digests(root, [*paths, "a.png"]) == [*first, first[0]]
        link = tmp_path / "link"
        link.symlink_to(root)
        assert index.digests(link, paths) == first
        index.close()
        with FileIndex.open(tmp_path / "store") as again:
            assert again.digests(root, paths) == first
        assert len(hashed) == 2

    def test_when_the_size_changed(self, index: FileIndex, root: Path) -> None:
        index.digests(root, ["a.png"])
        (root / "a.png").write_bytes(b"longer than before")
        assert digest_of(index, root, "a.png") == blake2b(b"longer than before")

    def test_when_size_and_mtime_are_the_old_ones(self, index: FileIndex, root: Path) -> None:
        path = root / "a.png"
        index.digests(root, ["a.png"])
        before = path.stat()
        time.sleep(0.02)  # the clock of ctime ticks every few milliseconds
        path.write_bytes(b"A.PNG")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert digest_of(index, root, "a.png") == blake2b(b"A.PNG")

    def test_when_the_mtime_went_backwards(self, index: FileIndex, root: Path) -> None:
        path = root / "a.png"
        index.digests(root, ["a.png"])
        path.write_bytes(b"A.PNG")
        os.utime(path, (1, 1))
        assert digest_of(index, root, "a.png") == blake2b(b"A.PNG")

    def test_when_another_file_takes_its_place(self, index: FileIndex, root: Path) -> None:
        path, other = root / "a.png", root / "other"
        index.digests(root, ["a.png"])
        before = path.stat()
        other.write_bytes(b"OTHER")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(path)
        assert digest_of(index, root, "a.png") == blake2b(b"OTHER")

    def test_when_a_link_was_turned(self, index: FileIndex, root: Path) -> None:
        link = root / "link.png"
        link.symlink_to("a.png")
        assert digest_of(index, root, "link.png") == blake2b(b"a.png")
        link.unlink()
        link.symlink_to("pictures/b.png")
        assert digest_of(index, root, "link.png") == blake2b(b"pictures/b.png")

    def test_when_what_is_remembered_is_nonsense(
        self, index: FileIndex, root: Path, tmp_path: Path
    ) -> None:
        index.digests(root, ["a.png"])
        index.close()
        key = str(root / "a.png").encode()
        assert plain_store.get(tmp_path / "store" / "files", b"signatures-1", key) is not None
        plain_store.put(tmp_path / "store" / "files", b"signatures-1", key, b"nonsense")
        with FileIndex.open(tmp_path / "store") as again:
            assert digest_of(again, root, "a.png") == blake2b(b"a.png")


class TestTooYoungToBeRemembered:
    def test_hashed_within_2_seconds(self, index: FileIndex, root: Path, hashed: list[str]) -> None:
        index.digests(root, ["a.png"])
        index.digests(root, ["a.png"])
        assert hashed == ["a.png", "a.png"]

    def test_changed_within_2_seconds_whatever_the_mtime(
        self, index: FileIndex, root: Path, hashed: list[str]
    ) -> None:
        os.utime(root / "a.png", (1, 1))
        index.digests(root, ["a.png"])
        index.digests(root, ["a.png"])
        assert hashed == ["a.png", "a.png"]

    def test_clock_that_went_backwards(
        self, index: FileIndex, root: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is from the future, so no later change is sure to move its ctime."""
        now = time.time_ns
        monkeypatch.setattr(file_index.time, "time_ns", lambda: now() - 3600 * 10**9)
        index.digests(root, ["a.png"])
        index.digests(root, ["a.png"])
        assert hashed == ["a.png", "a.png"]

    @pytest.mark.usefixtures("later")
    def test_mtime_in_the_future(self, index: FileIndex, root: Path, hashed: list[str]) -> None:
        os.utime(root / "a.png", (2**33, 2**33))
        index.digests(root, ["a.png"])
        index.digests(root, ["a.png"])
        assert hashed == ["a.png", "a.png"]


class TestNoFile:
    def test_a_folder(self, index: FileIndex, root: Path) -> None:
        assert reason_of(index, root, "pictures") == "a directory, not a file"
        assert reason_of(index, root, "pictures/..") == "a directory, not a file"

    def test_a_fifo_does_not_block(self, index: FileIndex, root: Path) -> None:
        os.mkfifo(root / "pipe.png")
        assert reason_of(index, root, "pipe.png") == "a FIFO, not a file"

    def test_a_fifo_that_takes_a_file_s_place_does_not_block(
        self, root: Path, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        found = file_digest._hash_file(str(tmp_path / "pipe.png"))
        assert found == FileProblem("a FIFO, not a file")

    def test_a_socket(self, index: FileIndex, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.png")
            assert reason_of(index, root, "socket.png") == "a socket, not a file"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, index: FileIndex, root: Path) -> None:
        (root / "a.png").chmod(0)
        assert "Permission denied" in reason_of(index, root, "a.png")

    @pytest.mark.parametrize("path", ["nul\0.png", "lone \ud800.png", "x" * 300, "a.png/b.png"])
    def test_impossible_paths(self, index: FileIndex, root: Path, path: str) -> None:
        assert reason_of(index, root, path).startswith("cannot be read: ")

    def test_a_file_that_never_stays_the_same(
        self, index: FileIndex, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = hashlib.file_digest

        def while_it_is_written(file: object, algorithm: object) -> object:
            with (root / "a.png").open("ab") as other:
                other.write(b"more")
            return original(file, algorithm)  # type: ignore[arg-type]

        monkeypatch.setattr(hashlib, "file_digest", while_it_is_written)
        assert reason_of(index, root, "a.png") == "changes while it is read"


class TestLinks:
    @pytest.fixture(autouse=True)
    def secret(self, tmp_path: Path) -> Path:
        """A file outside the dataset's folder."""
        (tmp_path / "outside").mkdir()
        path = tmp_path / "outside" / "secret"
        path.write_text("secret")
        return path

    def test_inside(self, index: FileIndex, root: Path) -> None:
        (root / "file.png").symlink_to(root / "pictures" / "b.png")
        (root / "folder").symlink_to("pictures")
        assert digest_of(index, root, "file.png") == blake2b(b"pictures/b.png")
        assert digest_of(index, root, "folder/c.png") == blake2b(b"pictures/c.png")

    def test_a_file_outside(self, index: FileIndex, root: Path, secret: Path) -> None:
        (root / "file.png").symlink_to(secret)
        (root / "chain.png").symlink_to("file.png")
        for path in ("file.png", "chain.png"):
            assert "leaves the dataset's folder" in reason_of(index, root, path)

    def test_a_folder_outside(self, index: FileIndex, root: Path, secret: Path) -> None:
        (root / "folder").symlink_to(secret.parent)
        for path in ("folder/secret", "folder/../outside/secret", "../outside/secret"):
            assert "leaves the dataset's folder" in reason_of(index, root, path)

    def test_a_folder_whose_name_begins_alike(self, index: FileIndex, root: Path) -> None:
        sibling = root.with_name(root.name + "-2")
        sibling.mkdir()
        (sibling / "secret").write_text("secret")
        assert "leaves the dataset's folder" in reason_of(index, root, f"../{sibling.name}/secret")

    def test_a_link_turned_outside_after_it_was_remembered(
        self, index: FileIndex, root: Path, secret: Path, later: None
    ) -> None:
        link = root / "link.png"
        link.symlink_to("a.png")
        index.digests(root, ["link.png"])
        link.unlink()
        link.symlink_to(secret)
        assert "leaves the dataset's folder" in reason_of(index, root, "link.png")

    def test_broken_and_circular(self, index: FileIndex, root: Path) -> None:
        (root / "broken.png").symlink_to("nowhere.png")
        (root / "loop.png").symlink_to("loop.png")
        assert reason_of(index, root, "broken.png") == "absent"
        assert "symbolic links" in reason_of(index, root, "loop.png")


@pytest.mark.usefixtures("later")
class TestKeys:
    def test_long_paths(self, index: FileIndex, root: Path, hashed: list[str]) -> None:
        """Longer than a key may be, and alike in all but the last character."""
        folder = "/".join(["f" * 200] * 4)
        (root / folder).mkdir(parents=True)
        paths = [f"{folder}/{name}" for name in "ab"]
        for path in paths:
            (root / path).write_text(path[-1])
        for _ in range(2):
            found = [digest_of(index, root, path) for path in paths]
            assert found == [blake2b(b"a"), blake2b(b"b")]
        assert len(hashed) == 2

    def test_a_name_that_is_not_utf_8(
        self, index: FileIndex, root: Path, hashed: list[str]
    ) -> None:
        name = os.fsdecode(b"caf\xe9.png")
        (root / name).write_bytes(b"coffee")
        for _ in range(2):
            assert digest_of(index, root, name) == blake2b(b"coffee")
        assert len(hashed) == 1


@pytest.mark.usefixtures("later")
def test_several_chunks(
    index: FileIndex, root: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_index, "_CHUNK_SIZE", 7)
    paths = [f"pictures/{number}.txt" for number in range(30)]
    for path in paths:
        (root / path).write_text(path)
    expected = [blake2b(path.encode()) for path in paths]
    for _ in range(2):
        found = index.digests(root, paths)
        assert [file.digest for file in found if isinstance(file, FileDigest)] == expected
    assert len(hashed) == 30


def test_two_processes_at_once(root: Path, tmp_path: Path) -> None:
    paths = [f"pictures/{number}.txt" for number in range(200)]
    for path in paths:
        (root / path).write_text(path)
        os.utime(root / path, (1, 1))
    code = """
import sys, time
from pathlib import Path
from storage.features import file_index
file_index.RACY_NS = 0  # all that is old enough for this file system's clock
file_index._CHUNK_SIZE = 5
with file_index.FileIndex.open(Path(sys.argv[1])) as index:
    found = index.digests(Path(sys.argv[2]), [f"pictures/{n}.txt" for n in range(200)])
print(*(file.digest.hex() for file in found))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "store"), str(root)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate()[0].strip() for process in processes}
    assert outputs == {" ".join(blake2b(path.encode()).hex() for path in paths)}
    with FileIndex.open(tmp_path / "store") as index:
        found = index.digests(root, paths)
    assert " ".join(file.digest.hex() for file in found if isinstance(file, FileDigest)) in outputs


def test_digests_of_texts_and_numbers() -> None:
    assert text_digest("naïve") == blake2b("naïve".encode())
    assert text_digest("lone \ud800") != text_digest("lone \ud801")
    assert numbers_digest({"b": 1, "a": 2.5}) == numbers_digest({"a": 2.5, "b": 1})
    different = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {"a": float("nan")}, {}]
    assert len({numbers_digest(numbers) for numbers in different}) == len(different)
