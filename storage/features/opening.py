"""Opens an LMDB file, whatever lies in its folder, and says what is in the way if it cannot be.

A reader that may not write the lock file (another user's store, a read-only mount) opens the file
without locks. Writers do not see such a reader, so they may reuse the pages that it is reading;
the checksums of rows tell, and so does `Environment.read` when two commits came meanwhile.
"""

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from storage.errors import DamagedStoreError, StoreError
from storage.features.pages import (
    DATA_FILE,
    LOCK_FILE,
    damaged,
    pages_of_snapshot,
    require_regular,
    require_sound_pages,
)

INITIAL_MAP_BYTES = 64 * 2**20
_LOCK_BYTES = 8192  # what LMDB makes it for its 126 readers
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_DO_WITHOUT = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open LMDB file.

    Attributes:
        raw: The binding's environment.
        is_locked: Whether writers see this reader.
    """

    raw: Any
    is_locked: bool


def open_file(
    directory: Path, *, num_databases: int, writable: bool, is_checked: bool = False
) -> OpenFile:
    """Open the file in a folder with a map twice as large as it needs now.

    Args:
        directory: The folder.
        num_databases: Sub-databases, at most.
        writable: Whether to write; an absent file is made then.
        is_checked: Whether this process has checked the pages before.

    Raises:
        DamagedStoreError: If pages are damaged.
        StoreError: If something else than a regular file stands in the file's place.
        OSError, lmdb.Error: If the system or LMDB refuses.
    """
    num_bytes = _num_bytes(directory, may_be_absent=writable)
    is_sound = is_checked or num_bytes == 0 or require_sound_pages(directory, remember=writable)
    is_locked = _prepare_lock(directory, writable=writable)
    raw = lmdb.open(
        str(directory),
        map_size=max(INITIAL_MAP_BYTES, 2 * num_bytes),
        max_dbs=num_databases,
        readonly=not writable,
        create=writable,
        lock=is_locked,
    )
    try:
        _require_sound(directory, raw, num_bytes, is_sound=is_sound)
        raw.reader_check()  # a reader that was killed would keep old pages for ever
    except BaseException:
        raw.close()
        raise
    return OpenFile(raw, is_locked)


def is_writable(directory: Path) -> bool:
    """Whether this process may write to the LMDB file of a folder, as far as permissions tell."""
    files = [directory / name for name in (DATA_FILE, LOCK_FILE)]
    return all(
        os.access(path, os.R_OK | os.W_OK)
        for path in (directory, *(file for file in files if file.exists()))
    )


def _num_bytes(directory: Path, *, may_be_absent: bool) -> int:
    """Return the data file's size; 0 where it may be absent and is, or may be empty."""
    path = directory / DATA_FILE
    try:
        found = path.stat()
    except FileNotFoundError:
        if may_be_absent and not path.is_symlink():
            return 0
        raise StoreError(f"{directory}: found no {DATA_FILE}; allowed: a store's") from None
    require_regular(path, found)
    if found.st_size == 0 and not may_be_absent:
        raise DamagedStoreError(f"{directory}: found an empty {DATA_FILE}; allowed: a store's")
    return found.st_size


def _prepare_lock(directory: Path, *, writable: bool) -> bool:
    """Give the lock file its blocks; LMDB maps it, so a full disk would kill the process.

    Returns:
        Whether there is a lock file that this process may write.
    """
    path = directory / LOCK_FILE
    try:
        file = os.open(path, _LOCK_FLAGS, 0o664)
        try:
            require_regular(path, os.fstat(file))
            if sys.platform == "linux":
                os.posix_fallocate(file, 0, _LOCK_BYTES)
        finally:
            os.close(file)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise StoreError(f"{path}: found no regular file; allowed: LMDB's own") from error
        if writable or error.errno not in _DO_WITHOUT:
            raise
        return False
    return True


def _require_sound(directory: Path, raw: Any, num_bytes: int, *, is_sound: bool) -> None:
    """Refuse a file that would kill the process: one that was cut off, or has damaged pages."""
    num_needed = (raw.info()["last_pgno"] + 1) * raw.stat()["psize"]
    if num_bytes > 0 and (directory / DATA_FILE).stat().st_size < num_needed:
        raise damaged(directory, [f"{num_bytes} bytes, truncated from {num_needed}"])
    if not is_sound:  # it was written to all the time
        with raw.begin():
            problems = pages_of_snapshot(directory)
        if problems:
            raise damaged(directory, problems)
