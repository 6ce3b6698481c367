"""Checks an LMDB file's pages before LMDB maps them.

LMDB follows every pointer in its pages, and a wrong one ends the process by SIGBUS or SIGSEGV. The
walker that comes with the binding reads bytes instead, and takes 0.13 s for 100,000 vectors. A file
that it found sound is remembered by its signature (size, times, inode) in `CHECKED_FILE` beside it,
so a file that has not changed costs a stat. Damage that leaves no trace in the signature (of the
disk itself) and damage that comes while the file is mapped are not seen here; the rows' checksums
are checked by whoever reads them.
"""

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import lmdb.verify

from storage.atomic import write_whole
from storage.errors import DamagedStoreError, StoreError
from storage.files.file_access import RACY_NS, FileSignature

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
CHECKED_FILE = "checked.json"

_NUM_ATTEMPTS = 8
_PAUSE_SECONDS = 0.05  # longer than a file system's clock ticks
_MOST_READ_BYTES = 4096


def require_regular(path: Path, found: os.stat_result) -> None:
    """Refuse what LMDB would wait for, write to, or fail at without a clear word.

    Raises:
        StoreError: If a path, of which `found` is what stat() says, is no regular file.
    """
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path}: found no regular file; allowed: LMDB's own")


def require_sound_pages(directory: Path, *, trust: bool = True, remember: bool = False) -> bool:
    """Check an LMDB file that others may be writing to, without opening it.

    Args:
        directory: Its folder.
        trust: Whether a file that was found sound before, and has not changed, is not read.
        remember: Whether to write down that it is sound, which readers leave to writers.

    Returns:
        Whether the pages are sound. If not, it was written to in every attempt: only
        `pages_of_snapshot` can tell then.

    Raises:
        DamagedStoreError: If pages are wrong though nobody is writing.
        StoreError: If something else than a regular file stands in the file's place.
        OSError: If the file cannot be read.
    """
    require_regular(directory / DATA_FILE, (directory / DATA_FILE).stat())
    last = None
    for _ in range(_NUM_ATTEMPTS):
        before = FileSignature.at(directory / DATA_FILE)
        if trust and before == _remembered(directory):
            return True
        problems = _walk(directory)
        is_at_rest = FileSignature.at(directory / DATA_FILE) == before
        if not problems:
            if is_at_rest and remember:
                _remember(directory, before)
            return True
        if is_at_rest and before == last:
            raise damaged(directory, problems)
        last = before
        time.sleep(_PAUSE_SECONDS)
    return False


def pages_of_snapshot(directory: Path) -> list[str]:
    """Return what is wrong with pages that an open read transaction keeps from being reused.

    The walker looks at the file's size first, so a commit at that moment looks like pages beyond
    the end: what is wrong must be so more than once.
    """
    problems: list[str] = []
    for _ in range(_NUM_ATTEMPTS):
        problems = _walk(directory)
        if not problems:
            break
    return problems


def damaged(directory: Path, problems: list[str]) -> DamagedStoreError:
    """Return the error that says what is wrong with pages, and what to do."""
    is_cut_off = any("EOF" in problem or "truncated" in problem for problem in problems)
    return DamagedStoreError(
        f"{directory}: found damaged pages in {DATA_FILE}{': it was cut off' * is_cut_off} "
        f"({problems[0]}); allowed: a sound file (restore this folder from a copy, or delete it "
        "and run again; `mocme store verify` names all that is damaged)",
        problems,
    )


def _walk(directory: Path) -> list[str]:
    try:
        return list(lmdb.verify.verify(str(directory), subdir=True))
    except lmdb.verify.VerifyError as error:
        return [str(error)]


def _remembered(directory: Path) -> FileSignature | None:
    try:
        with (directory / CHECKED_FILE).open("rb") as file:
            return FileSignature(*json.loads(file.read(_MOST_READ_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _remember(directory: Path, found: FileSignature) -> None:
    """Remember a sound file, unless its times cannot tell it from one that is changed just now."""
    if max(found.mtime_ns, found.ctime_ns) < time.time_ns() - RACY_NS:
        with suppress(OSError):  # the folder may be read-only
            write_whole(directory / CHECKED_FILE, json.dumps(found))
