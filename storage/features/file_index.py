"""Content digests of files, remembered by path, so that an unchanged file is never read again.

`STORE/files/` is one LMDB environment: absolute path -> signature and digest. A signature is what
stat() says of a file: size, mtime, ctime and inode. Signatures are compared for equality, never
for order, and no program can set a ctime, so neither a clock that goes backwards nor a restored
mtime makes a changed file look unchanged. A file that changes again within the clock's granularity
would ("racily clean", as git calls it): so a file hashed less than 2 s after its mtime or ctime,
or before them, is not remembered.
"""

import os
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from storage.errors import StoreError
from storage.features.block import DIGEST_BYTES
from storage.features.environment import Environment, Transaction, open_environment
from storage.features.file_digest import FileDigest, blake2b, hash_files
from storage.features.handle import Handle
from storage.features.opening import is_writable
from storage.features.pages import DATA_FILE
from storage.files.file_access import RACY_NS, FileProblem, FilesBelow, FileSignature, problem_of

_FOLDER = "files"  # below the store
_DATABASE = "signatures-1"
_CHUNK_SIZE = 4096  # files whose digests are committed together
_MAX_KEY_BYTES = 511  # LMDB's limit
_VALUE = struct.Struct(f"<QqqQ{DIGEST_BYTES}s")
_CHECKSUM_BYTES = 8


class FileIndex(Handle):
    """Remembered digests of files; obtained by `open`.

    Any number of processes and threads may use it at once. Deleting its folder costs nothing but
    reading every file once more.

    Args:
        directory: Folder of the index; must exist, unless nothing is to be remembered.
        writable: Whether to remember more; without it, the folder is left as it is.
    """

    def __init__(self, directory: Path, *, writable: bool = True) -> None:
        super().__init__()
        self._writable = writable
        self._environment: Environment | None = None
        if writable or (directory / DATA_FILE).exists():
            self._environment = open_environment(directory, [_DATABASE], writable=writable)
            self._closing.callback(self._environment.release)

    @classmethod
    def open(cls, store_root: Path) -> Self:
        """Open the index of a store, creating it if need be.

        One that may only be read is opened for reading only.

        Raises:
            StoreError: If its folder cannot be made.
        """
        directory = store_root / _FOLDER
        if (directory / DATA_FILE).exists() and not is_writable(directory):
            return cls.open_readonly(store_root)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{directory}: cannot be made: {error.strerror}") from error
        return cls(directory)

    @classmethod
    def open_readonly(cls, store_root: Path) -> Self:
        """Open the index of a store to look files up, if there is one; nothing is written."""
        return cls(store_root / _FOLDER, writable=False)

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
        folder = FilesBelow(root)
        found: dict[str, FileDigest | FileProblem] = {}
        distinct = list(dict.fromkeys(relative_paths))
        for start in range(0, len(distinct), _CHUNK_SIZE):
            files = {path: folder.signature(path) for path in distinct[start : start + _CHUNK_SIZE]}
            found.update(self._digests_of_chunk(folder, files))
        return [found[path] for path in relative_paths]

    def _digests_of_chunk(
        self, folder: FilesBelow, files: Mapping[str, FileSignature | FileProblem]
    ) -> dict[str, FileDigest | FileProblem]:
        """Look files up by their signatures, and hash and remember those that are unknown."""
        problems = {path: file for path, file in files.items() if isinstance(file, FileProblem)}
        present = {path: file for path, file in files.items() if isinstance(file, FileSignature)}
        remembered = self._look_up(folder, present)
        unknown = [path for path in present if path not in remembered]
        before_ns = time.time_ns()
        hashed = _hash(folder, unknown)
        self._remember(folder, hashed, before_ns - RACY_NS)
        return {**problems, **remembered, **hashed}

    def _look_up(
        self, folder: FilesBelow, files: Mapping[str, FileSignature]
    ) -> dict[str, FileDigest]:
        """Return the digests of those files whose signature is the remembered one."""
        found: dict[str, FileDigest] = {}
        environment = self._environment
        if environment is None:
            return found
        with environment.read() as snapshot:
            database = environment.database(_DATABASE)
            for path, current in files.items():
                key = _key(folder.path(path))
                remembered = _unpack(key, bytes(snapshot.get(key, b"", database)))
                if remembered is not None and remembered.signature == current:
                    found[path] = remembered
        return found

    def _remember(
        self, folder: FilesBelow, files: Mapping[str, FileDigest | FileProblem], until_ns: int
    ) -> None:
        """Remember the digests of files that were last changed before a point in time."""
        environment = self._environment
        if environment is None or not self._writable:
            return
        entries = [
            _entry(_key(folder.path(path)), file)
            for path, file in files.items()
            if isinstance(file, FileDigest)
            and max(file.signature.mtime_ns, file.signature.ctime_ns) < until_ns
        ]

        def body(transaction: Transaction) -> None:
            cursor = transaction.cursor(environment.database(_DATABASE))
            cursor.putmulti(sorted(entries))

        if entries:
            environment.write(body)


def _entry(key: bytes, file: FileDigest) -> tuple[bytes, bytes]:
    """Return a key and its value, with a checksum of both at the end."""
    value = _VALUE.pack(*file.signature, file.digest)
    return key, value + _checksum(key, value)


def _unpack(key: bytes, entry: bytes) -> FileDigest | None:
    """Return what an entry holds; nothing if it is damaged, or of an earlier version."""
    value, checksum = entry[:-_CHECKSUM_BYTES], entry[-_CHECKSUM_BYTES:]
    if len(value) != _VALUE.size or checksum != _checksum(key, value):
        return None
    *signature, digest = _VALUE.unpack(value)
    return FileDigest(digest, FileSignature(*signature))


def _checksum(key: bytes, value: bytes) -> bytes:
    return blake2b(key + value).digest()[:_CHECKSUM_BYTES]


def _hash(folder: FilesBelow, files: Sequence[str]) -> dict[str, FileDigest | FileProblem]:
    """Hash files, but for those that have become something else since they were looked at."""
    found: dict[str, FileDigest | FileProblem] = {}
    real_paths: dict[str, str] = {}
    for path in files:
        try:
            real_paths[path] = folder.real_path(path)
        except (OSError, ValueError) as error:
            found[path] = problem_of(error)
    digests = hash_files(list(real_paths.values()))
    return found | dict(zip(real_paths, digests, strict=True))


def _key(path: str) -> bytes:
    """Return the key of an absolute path; a long one is hashed, and starts with no slash."""
    key = os.fsencode(path)
    return key if len(key) <= _MAX_KEY_BYTES else b"#" + blake2b(key).digest()
