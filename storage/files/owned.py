"""Files and folders that mocme makes inside a folder that users write to as well.

Whoever deletes names what it makes. A link, a folder in a file's place, or whatever lies outside
of the folder is the user's.
"""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from storage.atomic import leftovers
from storage.errors import MocmeError
from storage.files.file_access import opened_folder

_UNFINISHED_TENSORS = re.compile(r"\.tmp[0-9A-Za-z]{6}")  # of safetensors, which renames it
_LONGEST_HEADER = 2**27  # bytes of JSON that begin a safetensors file, behind their number


class ForeignFileError(MocmeError):
    """Something of the user's in a place where mocme writes."""


def own_folder(path: Path) -> Path:
    """Make a folder unless it is there, and return it.

    Raises:
        ForeignFileError: If a link or a file is in its place.
    """
    check_own_folder(path)
    path.mkdir(exist_ok=True)
    return path


def check_own_folder(path: Path) -> None:
    """Refuse a link or a file in the place of a folder that mocme makes; it may be absent.

    Raises:
        ForeignFileError: If there is one.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISDIR(mode):
        raise ForeignFileError(
            f"{path}: found {_kind(mode)}; allowed: a folder, or nothing there; move it away"
        )


def check_own_file(path: Path) -> None:
    """Refuse all but a plain file in the place of a file that mocme makes; it may be absent.

    Raises:
        ForeignFileError: If a link, a folder, a pipe or the like is in its place.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise ForeignFileError(
            f"{path}: found {_kind(mode)}; allowed: a plain file, or nothing there; move it away"
        )


def check_readable_file(path: Path) -> None:
    """Refuse to read from what is no plain file, such as a pipe, which may never end.

    Raises:
        ForeignFileError: If a folder, a pipe, a device or the like is there; links are followed.
        OSError: If there is nothing, or it cannot be looked at.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ForeignFileError(f"{path}: found {_kind(mode)}; allowed: a plain file")


def check_started(folder: Path, first: str) -> None:
    """Refuse a folder that holds something, but not the file that mocme makes first there.

    Args:
        folder: The folder; may be absent.
        first: Name of that file; a lock and what a kill left of writing it may be there before.

    Raises:
        ForeignFileError: If so.
    """
    if not folder.is_dir() or is_own_file(folder, first):
        return
    others = {path.name for path in folder.iterdir()} - {".lock"}
    others -= {path.name for path in leftovers(folder)}
    if others:
        raise ForeignFileError(
            f"{folder}: found {min(others)} and no {first}; allowed: a new or empty folder, or one "
            "that this command has written to before"
        )


def is_own_file(root: Path, name: str) -> bool:
    """Whether a plain file of this name lies in a folder, and no link leads to it.

    Args:
        root: The folder.
        name: Path relative to it.
    """
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        return False
    folders = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    modes = [_mode(folder) for folder in folders]
    if any(mode is None or not stat.S_ISDIR(mode) for mode in modes):
        return False
    mode = _mode(root / name)
    return mode is not None and stat.S_ISREG(mode)


def delete_own_files(root: Path, names: Iterable[str]) -> None:
    """Delete plain files of a folder by name; what no file of that name is stays.

    Args:
        root: The folder.
        names: Paths relative to it.

    Raises:
        OSError: If a file cannot be deleted.
    """
    for name in names:
        if is_own_file(root, name):
            with opened_folder(root, PurePosixPath(name).parts[:-1]) as folder:
                os.unlink(PurePosixPath(name).name, dir_fd=folder)


def delete_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Delete what a killed process left of writing files: exactly the names that writing uses.

    Args:
        folder: The folder.
        names: Of the files that are written there.
    """
    starts = tuple(f".{name}." for name in names)
    left = [path.name for path in leftovers(folder) if path.name.startswith(starts)]
    left += [path.name for path in folder.iterdir() if _is_unfinished_tensors(path)]
    delete_own_files(folder, left)


def _is_unfinished_tensors(path: Path) -> bool:
    is_named_so = _UNFINISHED_TENSORS.fullmatch(path.name) is not None
    return is_named_so and is_own_file(path.parent, path.name) and _is_of_safetensors(path)


def _is_of_safetensors(path: Path) -> bool:
    """Whether nobody else may read a file, and it is empty or begins as no text does."""
    if path.stat().st_mode & 0o077:
        return False
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return not start or (0 < length < _LONGEST_HEADER and start[8:] in (b"{", b""))


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFREG: "a file",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")
