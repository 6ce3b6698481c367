"""LMDB environments: opened once per process, growing by themselves, safe across fork.

LMDB forbids what a program does without noticing: opening an environment twice in a process,
using it in a forked child, resizing its map under an open transaction. An `Environment` is
therefore shared by all its handles in the process, closed before every fork and opened again
when next used, and resized only when none of its transactions is open.

Concurrency: any number of processes and threads may read and write at once. Writers wait for
each other; readers wait for nobody and see the last commit before they began. A thread must
not begin a transaction inside another one.
"""

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from storage.errors import StoreError

Transaction = Any
"""An `lmdb.Transaction` with `buffers=True`: its values are valid until it ends or writes."""

ResultT = TypeVar("ResultT")

DATA_FILE = "data.mdb"
_LOCK_FILE = "lock.mdb"
_LOCK_BYTES = 8192  # what LMDB makes it for its 126 readers
INITIAL_MAP_BYTES = 64 * 2**20
_META_PAGES = 2  # LMDB begins every file with them


class Environment:
    """One LMDB environment with its sub-databases; obtained by `open_environment`.

    Attributes:
        directory: Folder of the environment.
        num_active: Transactions of this process that are open.
        num_handles: Handles that were not released yet.
    """

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self.directory = directory
        self.num_active = 0
        self.num_handles = 0
        self._names = names
        self._writable = False
        self._raw: Any = None
        self._databases: dict[str, Any] = {}

    def database(self, name: str) -> Any:
        """Return a sub-database, for use inside a transaction of this environment."""
        return self._databases[name]

    @contextmanager
    def read(self, *, databases: bool = True) -> Iterator[Transaction]:
        """Read a snapshot: what the last commit left, whatever is written meanwhile.

        Args:
            databases: Whether to open the sub-databases. Without them nothing but the meta
                pages is read, and the snapshot only keeps its pages from being reused.

        Raises:
            StoreError: If LMDB fails, or the file is shorter than its content.
        """
        with self._translated("cannot be read"):
            while True:
                with _gate.using(self), suppress(lmdb.MapResizedError):
                    self._open(databases=databases)
                    transaction = self._raw.begin(buffers=True)
                    with transaction:
                        yield transaction
                    return
                self._resize(0)

    def write(self, body: Callable[[Transaction], ResultT]) -> ResultT:
        """Run `body` in a write transaction and commit it, growing the map as it needs.

        Args:
            body: Called again from the start if the map was too small, so it must change
                nothing but the transaction.

        Raises:
            StoreError: If LMDB fails (a full disk, say); nothing of `body` is stored then, and
                all that was stored before is kept.
        """
        with self._translated("cannot be written, what it held is kept (is the disk full?)"):
            while True:
                size = 0
                with _gate.using(self), suppress(lmdb.MapResizedError):
                    self._open(databases=True)
                    try:
                        with self._raw.begin(write=True, buffers=True) as transaction:
                            return body(transaction)
                    except lmdb.MapFullError:
                        size = 2 * int(self._raw.info()["map_size"])
                self._resize(size)

    def copy(self, path: Path) -> None:
        """Write what the last commit left to a file, without free pages.

        Raises:
            StoreError: If LMDB fails, or the file cannot be written.
        """
        with self._translated(f"cannot be copied to {path}"):
            while True:
                with _gate.using(self), suppress(lmdb.MapResizedError), path.open("wb") as file:
                    self._open(databases=False)
                    self._raw.copyfd(file.fileno(), compact=True)
                    return
                self._resize(0)

    def bytes_in_use(self, snapshot: Transaction) -> int:
        """Count the bytes of the pages that a snapshot's content takes."""
        main = self._raw.stat()
        trees = [main, *(snapshot.stat(found) for found in self._databases.values())]
        kinds = ("branch_pages", "leaf_pages", "overflow_pages")
        num_pages = _META_PAGES + sum(tree[kind] for tree in trees for kind in kinds)
        return int(num_pages * main["psize"])

    def make_writable(self) -> None:
        """Open for writing from the next transaction on."""
        with _gate.exclusive([self]):
            if not self._writable:
                self.close_file()
                self._writable = True

    def close_file(self) -> None:
        """Close the file, which no transaction may be using; the next one opens it again."""
        if self._raw is not None:
            self._raw.close()
        self._raw = None
        self._databases = {}

    def release(self) -> None:
        """Give one handle back; the last one closes the file."""
        with _gate.exclusive([self]):
            self.num_handles -= 1
            if self.num_handles == 0:
                self.close_file()
                del _environments[str(self.directory)]

    def _open(self, *, databases: bool) -> None:
        """Open the file and its sub-databases, if they are not open."""
        with _gate.condition:
            if self._raw is None:
                self._raw = self._open_file()
            if databases and not self._databases:
                self._databases = self._open_databases()

    def _open_file(self) -> Any:
        """Open the file with a map twice as large as it needs now.

        Raises:
            StoreError: If the file was cut off; reading past its end would kill the process.
        """
        path = self.directory / DATA_FILE
        num_bytes = path.stat().st_size if path.exists() else 0
        if self._writable and sys.platform == "linux":
            _allocate(self.directory / _LOCK_FILE)
        raw = lmdb.open(
            str(self.directory),
            map_size=max(INITIAL_MAP_BYTES, 2 * num_bytes),
            max_dbs=len(self._names),
            readonly=not self._writable,
            create=self._writable,
        )
        num_needed = (raw.info()["last_pgno"] + 1) * raw.stat()["psize"]
        if num_bytes > 0 and path.stat().st_size < num_needed:
            raw.close()
            raise StoreError(
                f"{path}: found {num_bytes} bytes where its content needs {num_needed}: "
                "the file was cut off"
            )
        raw.reader_check()  # a reader that was killed would keep old pages for ever
        return raw

    def _open_databases(self) -> dict[str, Any]:
        """Open the sub-databases; a writable environment creates those that it lacks."""
        open_db, names = self._raw.open_db, self._names
        if self._writable:
            with self._raw.begin(write=True) as transaction:
                return {name: open_db(name.encode(), transaction) for name in names}
        try:
            return {name: open_db(name.encode(), create=False) for name in names}
        except lmdb.NotFoundError as error:
            raise StoreError(f"{self.directory}: nothing was stored here yet") from error

    def _resize(self, num_bytes: int) -> None:
        """Set the map's size; 0 adopts the size that another process has set."""
        with _gate.exclusive([self]):
            if self._raw is not None:
                self._raw.set_mapsize(num_bytes)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn LMDB's errors into one that names the folder."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"{self.directory}: {what}: {error}") from error


def _allocate(path: Path) -> None:
    """Give a lock file its blocks; LMDB maps it, so a full disk would kill the process.

    Raises:
        OSError: If the disk is full.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        os.posix_fallocate(file, 0, _LOCK_BYTES)
    finally:
        os.close(file)


class _Gate:
    """Lets either transactions run, or one thread alone change how files are open."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self._closed = False

    @contextmanager
    def using(self, environment: Environment) -> Iterator[None]:
        """Keep an environment's file and map as they are."""
        with self.condition:
            self.condition.wait_for(lambda: not self._closed)
            environment.num_active += 1
        try:
            yield
        finally:
            with self.condition:
                environment.num_active -= 1
                self.condition.notify_all()

    @contextmanager
    def exclusive(self, environments: Collection[Environment]) -> Iterator[None]:
        """Wait for the environments' transactions to end, and let no new one begin."""
        with self.condition:
            self.condition.wait_for(lambda: not self._closed)
            self._closed = True
            self.condition.wait_for(lambda: all(e.num_active == 0 for e in environments))
            try:
                yield
            finally:
                self._closed = False
                self.condition.notify_all()


_gate = _Gate()
_environments: dict[str, Environment] = {}
_fork = ExitStack()


def open_environment(directory: Path, names: Sequence[str], *, writable: bool) -> Environment:
    """Return a handle to an environment; `Environment.release` gives it back.

    Args:
        directory: Folder of the environment; must exist.
        names: Its sub-databases, created if `writable`.
        writable: Whether this handle will write.
    """
    directory = Path(os.path.realpath(directory))
    with _gate.condition:
        environment = _environments.setdefault(str(directory), Environment(directory, names))
        environment.num_handles += 1
    if writable:
        environment.make_writable()
    return environment


def _close_before_fork() -> None:
    """Close every file: a child cannot use one that was open when it was forked."""
    _fork.enter_context(_gate.exclusive(_environments.values()))
    for environment in _environments.values():
        environment.close_file()


os.register_at_fork(
    before=_close_before_fork, after_in_parent=_fork.close, after_in_child=_fork.close
)
