"""What a content's digest is, and taking that of a file, whatever stands at its path.

A content is addressed by the BLAKE2b digest of its bytes. A file's is taken together with its
signature, what stat() says of it, so that whoever has both can tell whether it is the same file.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from storage.features.block import DIGEST_BYTES

MAX_FILE_BYTES = 2**36
"""64 GiB, a minute or two of hashing: a file with holes may claim any size and takes no disk."""

RACY_NS = 2 * 10**9
"""A file may change once more without a trace in its times if they are as recent as this."""

_NUM_THREADS = 4  # hashing releases the interpreter
_FILES_PER_TASK = 64  # handing a thread one small file takes longer than hashing it
_NUM_ATTEMPTS = 3  # at a file that changes while it is read


class FileSignature(NamedTuple):
    """What stat() says of a file; equal as long as the file was not changed or replaced."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class FileDigest(NamedTuple):
    """Digest of a file's bytes, and the file's signature when they were read."""

    digest: bytes
    signature: FileSignature


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a listed file has no digest."""

    reason: str


def signature(path: Path) -> FileSignature:
    """Return a file's signature now.

    Raises:
        OSError: If there is no such file.
    """
    return _signature(path.stat())


def text_digest(text: str) -> bytes:
    """Return the content digest of a text. 32 bytes."""
    return blake2b(text.encode("utf-8", "surrogatepass")).digest()


def numbers_digest(numbers: Mapping[str, object]) -> bytes:
    """Return the content digest of numbers by attribute, whatever their order. 32 bytes."""
    canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode()).digest()


class FilesBelow:
    """The files below a dataset's folder: resolves paths and refuses those that lead out of it.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._is_inside: dict[str, bool] = {}

    def path(self, relative: str) -> str:
        """Return a file's absolute path."""
        return f"{self._root}/{relative}"

    def signature(self, relative: str) -> FileSignature | FileProblem:
        """Return a file's signature, or why it is not to be read."""
        path = self.path(relative)
        try:
            found = os.lstat(path)
            if not self._contains_folder(path.rpartition("/")[0]):
                return FileProblem("its folder is a symbolic link that leaves the dataset's folder")
            if stat.S_ISLNK(found.st_mode):
                if not self._contains(os.path.realpath(path)):
                    return FileProblem("a symbolic link that leaves the dataset's folder")
                found = Path(path).stat()
        except (OSError, ValueError) as error:
            return _unreadable(error)
        if not stat.S_ISREG(found.st_mode):
            return _irregular(found)
        if found.st_size > MAX_FILE_BYTES:
            return FileProblem(f"{found.st_size} bytes; allowed: at most {MAX_FILE_BYTES}")
        return _signature(found)

    def _contains_folder(self, folder: str) -> bool:
        """Whether a folder lies inside; resolved once per folder."""
        if folder not in self._is_inside:
            self._is_inside[folder] = self._contains(os.path.realpath(folder))
        return self._is_inside[folder]

    def _contains(self, real_path: str) -> bool:
        return real_path == self._root or real_path.startswith(self._root.rstrip("/") + "/")


def hash_files(paths: Sequence[str]) -> list[FileDigest | FileProblem]:
    """Hash files by several threads."""

    def hash_some(start: int) -> list[FileDigest | FileProblem]:
        return [_hash_file(path) for path in paths[start : start + _FILES_PER_TASK]]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [*chain.from_iterable(pool.map(hash_some, range(0, len(paths), _FILES_PER_TASK)))]


def _hash_file(path: str) -> FileDigest | FileProblem:
    """Hash a file that does not change meanwhile."""
    try:
        for _ in range(_NUM_ATTEMPTS):
            # O_NONBLOCK: should a FIFO stand here by now, opening it must not block
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0) as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    return _irregular(before)
                digest = hashlib.file_digest(file, blake2b).digest()
                after = os.fstat(file.fileno())
            if _signature(before) == _signature(after):
                return FileDigest(digest, _signature(after))
    except OSError as error:
        return _unreadable(error)
    return FileProblem("changes while it is read")


def blake2b(content: bytes = b"") -> hashlib.blake2b:
    """Return the hash of all digests, 32 bytes, of what it is given so far."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES)


def _signature(found: os.stat_result) -> FileSignature:
    return FileSignature(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _irregular(found: os.stat_result) -> FileProblem:
    kind = {"d": "a directory", "p": "a FIFO", "s": "a socket", "c": "a device", "b": "a device"}
    return FileProblem(f"{kind.get(stat.filemode(found.st_mode)[0], 'something')}, not a file")


def _unreadable(error: OSError | ValueError) -> FileProblem:
    if isinstance(error, FileNotFoundError):
        return FileProblem("absent")
    return FileProblem(f"cannot be read: {error.strerror if isinstance(error, OSError) else error}")
