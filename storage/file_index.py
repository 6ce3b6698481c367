"""Content digests of files, remembered by path, so that an unchanged file is never read again.

`STORE/files/` is one LMDB environment: absolute path -> signature and digest. A signature is what
stat() says of a file: size, mtime, ctime and inode. Signatures are compared for equality, never
for order, and no program can set a ctime, so neither a clock that goes backwards nor a restored
mtime makes a changed file look unchanged. A file that changes again within the clock's granularity
would ("racily clean", as git calls it): so a file hashed less than 2 s after its mtime or ctime,
or before them, is not remembered.
"""

import hashlib
import json
import os
import stat
import struct
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from storage.block import DIGEST_BYTES
from storage.environment import DATA_FILE, Environment, Transaction, open_environment
from storage.errors import StoreError

RACY_NS = 2 * 10**9

MAX_FILE_BYTES = 2**36
"""64 GiB, a minute or two of hashing: a file with holes may claim any size and takes no disk."""

_FOLDER = "files"  # below the store
_DATABASE = "signatures-1"
_CHUNK_SIZE = 4096  # files whose digests are committed together
_NUM_THREADS = 4  # hashing releases the interpreter
_FILES_PER_TASK = 64  # handing a thread one small file takes longer than hashing it
_NUM_ATTEMPTS = 3  # at a file that changes while it is read
_MAX_KEY_BYTES = 511  # LMDB's limit
_VALUE = struct.Struct(f"<QqqQ{DIGEST_BYTES}s")


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
    return _blake2b(text.encode("utf-8", "surrogatepass")).digest()


def numbers_digest(numbers: Mapping[str, object]) -> bytes:
    """Return the content digest of numbers by attribute, whatever their order. 32 bytes."""
    canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
    return _blake2b(canonical.encode()).digest()


class FileIndex:
    """Remembered digests of files; obtained by `open`.

    Any number of processes and threads may use it at once. Deleting its folder costs nothing but
    reading every file once more.

    Args:
        directory: Folder of the index; must exist, unless nothing is to be remembered.
        writable: Whether to remember more; without it, the folder is left as it is.
    """

    def __init__(self, directory: Path, *, writable: bool = True) -> None:
        self._writable = writable
        self._environment: Environment | None = None
        self._closing = ExitStack()
        if writable or (directory / DATA_FILE).is_file():
            self._environment = open_environment(directory, [_DATABASE], writable=writable)
            self._closing.callback(self._environment.release)

    @classmethod
    def open(cls, store_root: Path) -> Self:
        """Open the index of a store, creating it if need be.

        Raises:
            StoreError: If its folder cannot be made.
        """
        directory = store_root / _FOLDER
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{directory}: cannot be made: {error}") from error
        return cls(directory)

    @classmethod
    def open_readonly(cls, store_root: Path) -> Self:
        """Open the index of a store to look files up, if there is one; nothing is written."""
        return cls(store_root / _FOLDER, writable=False)

    def close(self) -> None:
        """Give the environment back; the index cannot be used any more."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def digests(self, root: Path, relative_paths: Sequence[str]) -> list[FileDigest | FileProblem]:
        """Return the digests of files, reading only those that may have changed.

        Args:
            root: Folder of the dataset.
            relative_paths: Files below it. What is absent, is no regular file, cannot be read,
                is larger than `MAX_FILE_BYTES`, or is reached by a symbolic link that leaves the
                folder, is a problem.

        Raises:
            StoreError: If the index cannot be read or written.
        """
        folder = _Folder(root)
        found: dict[str, FileDigest | FileProblem] = {}
        distinct = list(dict.fromkeys(relative_paths))
        for start in range(0, len(distinct), _CHUNK_SIZE):
            files = {path: folder.signature(path) for path in distinct[start : start + _CHUNK_SIZE]}
            found.update(self._digests_of_chunk(folder, files))
        return [found[path] for path in relative_paths]

    def _digests_of_chunk(
        self, folder: "_Folder", files: Mapping[str, FileSignature | FileProblem]
    ) -> dict[str, FileDigest | FileProblem]:
        """Look files up by their signatures, and hash and remember those that are unknown."""
        problems = {path: file for path, file in files.items() if isinstance(file, FileProblem)}
        present = {path: file for path, file in files.items() if isinstance(file, FileSignature)}
        remembered = self._look_up(folder, present)
        unknown = [path for path in present if path not in remembered]
        before_ns = time.time_ns()
        digests = _hash_files([folder.path(path) for path in unknown])
        hashed = dict(zip(unknown, digests, strict=True))
        self._remember(folder, hashed, before_ns - RACY_NS)
        return {**problems, **remembered, **hashed}

    def _look_up(
        self, folder: "_Folder", files: Mapping[str, FileSignature]
    ) -> dict[str, FileDigest]:
        """Return the digests of those files whose signature is the remembered one."""
        found: dict[str, FileDigest] = {}
        environment = self._environment
        if environment is None:
            return found
        with environment.read() as snapshot:
            database = environment.database(_DATABASE)
            for path, current in files.items():
                value = snapshot.get(_key(folder.path(path)), db=database)
                if value is None or len(value) != _VALUE.size:
                    continue
                *remembered, digest = _VALUE.unpack(value)
                if tuple(remembered) == current:
                    found[path] = FileDigest(digest, current)
        return found

    def _remember(
        self, folder: "_Folder", files: Mapping[str, FileDigest | FileProblem], until_ns: int
    ) -> None:
        """Remember the digests of files that were last changed before a point in time."""
        environment = self._environment
        if environment is None or not self._writable:
            return
        entries = [
            (_key(folder.path(path)), _VALUE.pack(*file.signature, file.digest))
            for path, file in files.items()
            if isinstance(file, FileDigest)
            and max(file.signature.mtime_ns, file.signature.ctime_ns) < until_ns
        ]

        def body(transaction: Transaction) -> None:
            cursor = transaction.cursor(environment.database(_DATABASE))
            cursor.putmulti(sorted(entries))

        if entries:
            environment.write(body)


class _Folder:
    """A dataset's folder: resolves paths below it and refuses those that lead out of it.

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


def _hash_files(paths: Sequence[str]) -> list[FileDigest | FileProblem]:
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
                digest = hashlib.file_digest(file, _blake2b).digest()
                after = os.fstat(file.fileno())
            if _signature(before) == _signature(after):
                return FileDigest(digest, _signature(after))
    except OSError as error:
        return _unreadable(error)
    return FileProblem("changes while it is read")


def _blake2b(content: bytes = b"") -> hashlib.blake2b:
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


def _key(path: str) -> bytes:
    """Return the key of an absolute path; a long one is hashed, and starts with no slash."""
    key = os.fsencode(path)
    return key if len(key) <= _MAX_KEY_BYTES else b"#" + _blake2b(key).digest()
