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
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from storage.errors import DamagedStoreError, StoreError
from storage.features.opening import open_file
from storage.features.pages import pages_of_snapshot, require_sound_pages

Transaction = Any
"""An `lmdb.Transaction` with `buffers=True`: its values are valid until it ends or writes."""

ResultT = TypeVar("ResultT")

_META_PAGES = 2  # LMDB begins every file with them
_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)


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
        self._is_locked = True
        self._is_checked = False
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
            DamagedStoreError: If pages are damaged.
            StoreError: If LMDB fails; or, where the lock file may not be written, if others have
                written so much meanwhile that what was read may be wrong.
        """
        with self._translated("cannot be read"):
            while True:
                with _gate.using(self), suppress(lmdb.MapResizedError):
                    self._open(databases=databases)
                    transaction = self._raw.begin(buffers=True)
                    with transaction:
                        yield transaction
                        self._require_unchanged(transaction)
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

    def page_problems(self) -> list[str]:
        """Return what is wrong with the file's pages, all of them read anew.

        Raises:
            StoreError: If they cannot be read.
        """
        try:
            with self._translated("cannot be read"):
                if require_sound_pages(self.directory, trust=False):
                    return []
            with self.read(databases=False):
                return pages_of_snapshot(self.directory)
        except DamagedStoreError as error:
            return list(error.problems)

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
                with self._translated("cannot be opened"):
                    self._open_file()
            if databases and not self._databases:
                self._databases = self._open_databases()

    def _open_file(self) -> None:
        """Open the file, after its pages were checked once."""
        found = open_file(
            self.directory,
            num_databases=len(self._names),
            writable=self._writable,
            is_checked=self._is_checked,
        )
        self._raw, self._is_locked, self._is_checked = found.raw, found.is_locked, True

    def _require_unchanged(self, snapshot: Transaction) -> None:
        """Refuse what was read without a lock if its pages may have been reused meanwhile."""
        # a commit reuses the pages that the one before it has freed
        if not self._is_locked and self._raw.info()["last_txnid"] > snapshot.id() + 1:
            raise StoreError(
                f"{self.directory}: found that it was written to while it was read, without a lock "
                "file that may be written; allowed: reading while nobody writes"
            )

    def _open_databases(self) -> dict[str, Any]:
        """Open the sub-databases; a writable environment creates those that it lacks."""
        open_db, names = self._raw.open_db, self._names
        if self._writable:
            with self._raw.begin(write=True) as transaction:
                self._require_no_others(transaction)
                return {name: open_db(name.encode(), transaction) for name in names}
        try:
            return {name: open_db(name.encode(), create=False) for name in names}
        except lmdb.NotFoundError as error:
            raise StoreError(f"{self.directory}: nothing was stored here yet") from error

    def _require_no_others(self, transaction: Transaction) -> None:
        """Refuse to write to what is another program's file."""
        found = islice(transaction.cursor().iternext(values=False), len(self._names) + 1)
        others = {bytes(key) for key in found} - {name.encode() for name in self._names}
        if others:
            raise StoreError(
                f"{self.directory}: found another program's LMDB file, with {sorted(others)[0]!r}; "
                f"allowed: mocme's, with {', '.join(self._names)}"
            )

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
        except lmdb.MapResizedError:  # for those who know what to do about it
            raise
        except (lmdb.Error, OSError) as error:
            kind = DamagedStoreError if isinstance(error, _DAMAGE) else StoreError
            reason = getattr(error, "strerror", None) or str(error)
            raise kind(
                f"{self.directory}: {what}: {reason.removeprefix(f'{self.directory}: ')}"
            ) from error


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
