"""Who works on a store's folders: any number of writers, or one that deletes folders.

The lock is the system's own on the file `STORE/.lock`, so it ends with the process that holds it,
however that ends. Readers take none: what they have open stays readable when it is deleted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import StoreError

STORE_FILE = ".lock"
OWNER_FILE = ".owner"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NUM_ATTEMPTS = 10


class InUseError(StoreError):
    """A folder that another process is at work in."""


def lock_file(root: Path) -> Path:
    """Return the file that whoever writes to a store holds a lock on."""
    return root / STORE_FILE


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Keep the folders of a store as they are; waits for whoever is deleting some.

    Raises:
        StoreError: If the store's folder cannot be made.
    """
    with _opened(root) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def deleting(root: Path) -> Iterator[None]:
    """Be alone with a store; writers that come meanwhile wait.

    Raises:
        StoreError: If somebody is writing to the store, or its folder cannot be made.
    """
    with _opened(root) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{root}: found a run that is writing to it; allowed: deleting when none is"
            ) from error
        yield


@contextmanager
def owning(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Be the only one at work in a folder, which the owner may delete.

    Args:
        folder: The folder; made if need be.
        wait: Whether to wait for another owner.

    Raises:
        InUseError: If there is another owner and `wait` is false.
        StoreError: If the folder cannot be made.
    """
    is_owner = False
    while not is_owner:
        with _opened(folder, OWNER_FILE) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise InUseError(f"{folder}: found another process at work there") from error
            is_owner = _is_at(file, folder / OWNER_FILE)  # it was deleted by the last owner
            if is_owner:
                yield


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path now."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _opened(root: Path, name: str = STORE_FILE) -> Iterator[int]:
    try:
        file = _open(root, name)
    except OSError as error:
        raise StoreError(f"{root / name}: cannot be made: {error.strerror or error}") from error
    try:
        yield file
    finally:
        os.close(file)


def _open(root: Path, name: str) -> int:
    """Open a file in a folder, both made if need be; another process may just delete the folder."""
    for _ in range(_NUM_ATTEMPTS):
        root.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return os.open(root / name, _FLAGS, 0o666)
    raise FileNotFoundError(f"{name} is deleted as often as it is made")
