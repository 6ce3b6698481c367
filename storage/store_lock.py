"""Who works on a store's folders: any number of writers, or one that deletes folders.

The lock is the system's own on the file `STORE/.lock`, so it ends with the process that holds it,
however that ends. Readers take none: what they have open stays readable when it is deleted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StoreError

_FILE = ".lock"


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
def _opened(root: Path) -> Iterator[int]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = os.open(root / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"{root}: cannot be made: {error}") from error
    try:
        yield file
    finally:
        os.close(file)
