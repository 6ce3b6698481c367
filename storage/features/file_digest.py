"""What a content's digest is, and taking that of a file.

A content is addressed by the BLAKE2b digest of its bytes. A file's is taken together with its
signature, what stat() says of it, so that whoever has both can tell whether it is the same file.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from storage.features.block import DIGEST_BYTES
from storage.files.file_access import FileProblem, FileSignature, open_resolved, problem_of

_NUM_THREADS = 4  # hashing releases the interpreter
_FILES_PER_TASK = 64  # handing a thread one small file takes longer than hashing it
_NUM_ATTEMPTS = 3  # at a file that changes while it is read


class FileDigest(NamedTuple):
    """Digest of a file's bytes, and the file's signature when they were read."""

    digest: bytes
    signature: FileSignature


def text_digest(text: str) -> bytes:
    """Return the content digest of a text. 32 bytes."""
    return blake2b(text.encode("utf-8", "surrogatepass")).digest()


def numbers_digest(numbers: Mapping[str, object]) -> bytes:
    """Return the content digest of numbers by attribute, whatever their order. 32 bytes."""
    canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode()).digest()


def hash_files(paths: Sequence[str]) -> list[FileDigest | FileProblem]:
    """Hash files, given by paths without links, by several threads."""

    def hash_some(start: int) -> list[FileDigest | FileProblem]:
        return [_hash_file(path) for path in paths[start : start + _FILES_PER_TASK]]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return [*chain.from_iterable(pool.map(hash_some, range(0, len(paths), _FILES_PER_TASK)))]


def _hash_file(path: str) -> FileDigest | FileProblem:
    """Hash a file, given by a path without links, that does not change meanwhile."""
    try:
        for _ in range(_NUM_ATTEMPTS):
            with open_resolved(path) as file:
                before = FileSignature.of(os.fstat(file.fileno()))
                digest = hashlib.file_digest(file, blake2b).digest()
                after = FileSignature.of(os.fstat(file.fileno()))
            if before == after:
                return FileDigest(digest, after)
    except OSError as error:
        return problem_of(error)
    return FileProblem("changes while it is read")


def blake2b(content: bytes = b"") -> hashlib.blake2b:
    """Return the hash of all digests, 32 bytes, of what it is given so far."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES)
