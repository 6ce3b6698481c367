"""Which files of a dataset are opened: regular ones inside it, whatever is put in their place."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.datasets.dataset import read_dataset
from storage.datasets.reading import lines
from storage.errors import DatasetError
from storage.files.file_access import (
    FileProblem,
    FilesBelow,
    FileSignature,
    ListedFile,
    RefusedFileError,
    open_regular,
    open_resolved,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset's folder with a picture, and a private file beside it."""
    root = tmp_path / "dataset"
    (root / "media").mkdir(parents=True)
    (root / "media/a.png").write_text("picture")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.png").write_text("private")
    return root


def listed(root: Path, relative: str = "media/a.png") -> ListedFile:
    signature = FilesBelow(root).signature(relative)
    assert isinstance(signature, FileSignature)
    return ListedFile(str(root), relative, signature)


def read(file: ListedFile) -> str:
    with file.pinned() as path:
        return path.read_text()


class TestPinned:
    @pytest.mark.parametrize("through", ["itself", "file link", "folder link", "linked root"])
    def test_the_file_is_read_under_its_own_name(self, root: Path, through: str) -> None:
        (root / "link.png").symlink_to("media/a.png")
        (root / "folder").symlink_to("media")
        (root.parent / "root").symlink_to(root)
        place, relative = {
            "itself": (root, "media/a.png"),
            "file link": (root, "link.png"),
            "folder link": (root, "folder/a.png"),
            "linked root": (root.parent / "root", "media/a.png"),
        }[through]
        with listed(place, relative).pinned() as path:
            assert path.read_text() == "picture"
            assert path.name == "a.png"

    @pytest.mark.parametrize("put", [Path.touch, os.mkfifo, Path.mkdir])
    def test_not_what_has_taken_its_place(self, root: Path, put: Callable[[Path], None]) -> None:
        file = listed(root)
        (root / "media/a.png").unlink()
        put(root / "media/a.png")
        assert not file.is_unchanged()
        with pytest.raises(RefusedFileError):
            read(file)

    def test_not_a_link_that_has_taken_its_place(self, root: Path) -> None:
        file = listed(root)
        (root / "media/a.png").unlink()
        (root / "media/a.png").symlink_to("../../outside/a.png")
        with pytest.raises(RefusedFileError, match="leaves the dataset's folder"):
            read(file)

    def test_a_folder_that_is_put_in_the_place_of_its_own_is_not_seen(self, root: Path) -> None:
        with listed(root).pinned() as path:
            (root / "media").rename(root / "moved")
            (root / "media").symlink_to("../outside")
            assert path.read_text() == "picture"

    def test_it_leaves_no_descriptor_open(self, root: Path) -> None:
        before = len([*Path("/proc/self/fd").iterdir()])
        file = listed(root)
        for _ in range(3):
            read(file)
        (root / "media/a.png").unlink()
        with pytest.raises(FileNotFoundError):
            read(file)
        assert len([*Path("/proc/self/fd").iterdir()]) == before


class TestOpening:
    def test_no_link_is_followed_that_was_not_resolved(self, root: Path) -> None:
        (root / "link").symlink_to("../outside")
        (root / "link.png").symlink_to("../outside/a.png")
        for path in ("link/a.png", "link.png"):
            with pytest.raises(OSError, match=r"Not a directory|a symbolic link"):
                open_resolved(f"{root.resolve()}/{path}")

    def test_what_the_user_names_may_be_a_link_but_no_fifo(self, root: Path) -> None:
        (root / "link.png").symlink_to("../outside/a.png")
        with open_regular(root / "link.png") as file:
            assert file.read() == b"private"
        os.mkfifo(root / "pipe")
        for path in (root / "pipe", root, Path("/dev/zero")):
            with pytest.raises(RefusedFileError, match="not a file"):
                open_regular(path)

    def test_a_dangling_link_out_of_the_folder_is_told_as_such(self, root: Path) -> None:
        (root / "link.png").symlink_to("../nowhere.png")
        assert FilesBelow(root).signature("link.png") == FileProblem(
            "a symbolic link that leaves the dataset's folder"
        )


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


IRREGULAR: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "a FIFO, not a file"),
    "socket": (bind, "a socket, not a file"),
    "folder": (Path.mkdir, "a directory, not a file"),
    "device": (lambda it: it.symlink_to("/dev/zero"), "a symbolic link that leaves"),
    "link out": (lambda it: it.symlink_to("../outside/a.png"), "a symbolic link that leaves"),
    "itself": (lambda it: it.symlink_to(it.name), "too many levels of symbolic links"),
    "1 TiB": (lambda it: (it.touch(), os.truncate(it, 2**40)), "1099511627776 bytes; allowed: at"),
}
JSONL = {
    "entities.jsonl": '{"id": "a"}\n{"id": "b"}\n',
    **{f"{split}.tsv": "a\tr\tb\n" for split in ("train", "valid", "test")},
}
OPENKE = {
    "entity2id.txt": "2\na\t0\nb\t1\n",
    "relation2id.txt": "1\nr\t0\n",
    **{f"{split}2id.txt": "1\n0 1 0\n" for split in ("train", "valid", "test")},
}


@pytest.fixture
def tables(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def write(table: str) -> Path:
        for name, content in (JSONL if table in JSONL else OPENKE).items():
            (root / name).write_text(content)
        read_dataset(root)
        return root / table

    monkeypatch.chdir(root)
    return write


@pytest.mark.parametrize("table", [*JSONL, *OPENKE])
@pytest.mark.parametrize("case", IRREGULAR)
def test_a_table_that_is_no_regular_file_inside_is_an_error(
    tables: Callable[[str], Path], table: str, case: str
) -> None:
    path = tables(table)
    path.unlink()
    put, expected = IRREGULAR[case]
    put(path)
    with pytest.raises(DatasetError) as caught:
        read_dataset(path.parent)
    message = str(caught.value)
    assert expected in message
    assert str(path) in message
    assert message.count("; allowed: ") == 1


@pytest.mark.parametrize("table", ["entities.jsonl", "train.tsv", "entity2id.txt"])
def test_links_inside_and_a_linked_folder_are_read(
    tables: Callable[[str], Path], table: str
) -> None:
    path = tables(table)
    expected = read_dataset(path.parent).graph
    path.rename(path.with_name("table"))
    path.symlink_to("table")
    link = path.parent.with_name("link")
    link.symlink_to(path.parent)
    assert read_dataset(link).graph.digest == expected.digest


def test_a_line_of_any_length_is_not_read_into_memory(
    tables: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_MAX_LINE_BYTES", 30)
    path = tables("train.tsv")
    path.write_text(f"a\tr\tb\n{'a' * 25}\tr\tb\n")
    with pytest.raises(DatasetError, match="line 2, field 'head': found the unknown"):
        read_dataset(path.parent)
    path.write_text(f"a\tr\tb\n{'a' * 27}\tr\tb\n")
    with pytest.raises(DatasetError, match="line 2: found a line of more than 30 bytes"):
        read_dataset(path.parent)
