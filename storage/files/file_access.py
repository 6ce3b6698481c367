"""Which files of a dataset may be opened, and how: one answer for everything that opens them.

A dataset may come from anybody. So of what its folder holds and its tables list, only regular files
are opened that lie inside the folder after every symbolic link is followed, and are of bounded
size: no FIFO, socket or device, which may block, never end, or do something when they are opened.

Between such a check and the opening, somebody may put something else in the file's place. So a path
is resolved first, and then opened component by component without following a link; what was opened
is checked once more.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

MAX_FILE_BYTES = 2**36
"""64 GiB, a minute or two of hashing: a file with holes may claim any size and takes no disk."""

RACY_NS = 2 * 10**9
"""A file may change once more without a trace in its times if they are as recent as this."""

LEAVES = "a symbolic link that leaves the dataset's folder"
_FOLDER_LEAVES = "its folder is a symbolic link that leaves the dataset's folder"

# A folder is only passed through, which takes less than the permission to list it.
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a FIFO stand here by now, opening it must not block.
_FILE_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = {
    **{"d": "a directory", "p": "a FIFO", "s": "a socket", "c": "a device", "b": "a device"},
    "l": "a symbolic link",
}


class RefusedFileError(OSError):
    """A file that must not be opened; `strerror` is the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EPERM, reason)


class FileSignature(NamedTuple):
    """What stat() says of a file; equal as long as the file was not changed or replaced."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileSignature":
        """Return the signature in what stat() says."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    @classmethod
    def at(cls, path: Path) -> "FileSignature":
        """Return the signature of the file that a path leads to.

        Raises:
            OSError: If there is none.
        """
        return cls.of(path.stat())


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a listed file is not opened."""

    reason: str


class FilesBelow:
    """The files below a dataset's folder: resolves paths and refuses what must not be opened.

    Args:
        root: The folder; may itself be a link.
    """

    def __init__(self, root: Path | str) -> None:
        self._root = os.path.realpath(root)
        self._real_folders: dict[str, str] = {}

    def path(self, relative: str) -> str:
        """Return a file's absolute path, in which links may be left."""
        return f"{self._root}/{relative}"

    def real_path(self, relative: str) -> str:
        """Return a file's absolute path without links.

        Raises:
            RefusedFileError: If it leads out of the folder, or to no regular file.
            OSError: If there is no such file.
            ValueError: If there can be none, say of a name with a NUL.
        """
        return self._resolve(relative)[0]

    def signature(self, relative: str) -> FileSignature | FileProblem:
        """Return a file's signature, or why it is not to be opened."""
        try:
            return FileSignature.of(self._resolve(relative)[1])
        except (OSError, ValueError) as error:
            return problem_of(error)

    def _resolve(self, relative: str) -> tuple[str, os.stat_result]:
        folder, _, name = self.path(relative).rpartition("/")
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        path = f"{self._real_folders[folder]}/{name}"
        found = os.lstat(path)
        if not self._contains(self._real_folders[folder]):
            raise RefusedFileError(_FOLDER_LEAVES)
        if stat.S_ISLNK(found.st_mode):
            path = os.path.realpath(path)
            if not self._contains(path):
                raise RefusedFileError(LEAVES)
            found = Path(path).stat()
        _check(found)
        return path, found

    def _contains(self, real_path: str) -> bool:
        return real_path == self._root or real_path.startswith(self._root.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that a dataset lists, as it was when its signature was taken.

    Attributes:
        root: The dataset's folder.
        relative: The file's path below it, as listed.
        signature: Of the file.
    """

    root: str
    relative: str
    signature: FileSignature

    def is_unchanged(self) -> bool:
        """Whether the path still leads to the file, and that is as it was."""
        return FilesBelow(self.root).signature(self.relative) == self.signature

    @contextmanager
    def pinned(self) -> Iterator[Path]:
        """Yield a path for a decoder to open, under which no other folder can be put meanwhile.

        Another file may be put there; `is_unchanged` tells that afterwards.

        Raises:
            OSError: If the path leads to another file by now, or to none.
        """
        real_path = FilesBelow(self.root).real_path(self.relative)
        name = Path(real_path).name
        with opened_folder("/", _folders_of(real_path)) as folder:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            _check(found)
            if FileSignature.of(found) != self.signature:
                raise RefusedFileError("changed while it was read")
            pinned = f"/proc/{os.getpid()}/fd/{folder}/{name}"
            yield Path(pinned if os.path.lexists(pinned) else real_path)  # Linux has /proc


def open_regular(path: Path, inside: Path | None = None) -> FileIO:
    """Open a file that is no FIFO, socket, device or folder, unbuffered; never blocks.

    Args:
        path: The file.
        inside: A folder that no link may lead out of; None where the user, not a dataset, names
            the file.

    Raises:
        OSError: If there is no such file, or it must not be opened; `strerror` says why.
    """
    if inside is None:
        return open_resolved(os.path.realpath(path, strict=True))
    return open_resolved(FilesBelow(inside).real_path(os.path.relpath(path, inside)))


def open_resolved(path: str) -> FileIO:
    """Open a regular file by an absolute path without links, unbuffered; never blocks.

    Raises:
        OSError: If there is no such file, a link has appeared, or it must not be opened.
    """
    name = Path(path).name
    with opened_folder("/", _folders_of(path)) as folder:
        _check(os.stat(name, dir_fd=folder, follow_symlinks=False))
        file = os.fdopen(os.open(name, _FILE_FLAGS, dir_fd=folder), "rb", 0)
    try:
        _check(os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def problem_of(error: OSError | ValueError) -> FileProblem:
    """Return why a file is not opened, in words."""
    if isinstance(error, RefusedFileError):
        return FileProblem(str(error.strerror))
    if isinstance(error, FileNotFoundError):
        return FileProblem("absent")
    return FileProblem(f"cannot be read: {error.strerror if isinstance(error, OSError) else error}")


@contextmanager
def opened_folder(start: Path | str, names: Sequence[str]) -> Iterator[int]:
    """Yield a descriptor of a folder, from `start` on reached without following a link.

    Args:
        start: An existing folder, or a link to one.
        names: Of the folders that lead from there to the one wanted.

    Raises:
        OSError: If there is no such folder, or a link on the way.
    """
    folder = os.open(start, _FOLDER_FLAGS & ~os.O_NOFOLLOW)
    try:
        for name in names:
            inner = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _folders_of(path: str) -> list[str]:
    """Return the names of the folders that lead from the root to a file."""
    return path.split("/")[1:-1]


def _check(found: os.stat_result) -> None:
    """Refuse what is no regular file, or too large."""
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.filemode(found.st_mode)[0], "something")
        raise RefusedFileError(f"{kind}, not a file")
    if found.st_size > MAX_FILE_BYTES:
        raise RefusedFileError(f"{found.st_size} bytes; allowed: at most {MAX_FILE_BYTES}")
