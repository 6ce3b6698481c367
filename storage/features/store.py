"""The feature store: the vectors of one feature space, addressed by their items' content.

A store is the LMDB environment `STORE/<extractor>/<fingerprint>/`; storage/features/layout.py says
what is in it. What one `write` is given is committed in one transaction, so a kill at any moment
loses at most that.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import lmdb
import numpy as np

from storage.errors import DamagedStoreError, StoreError
from storage.features.block import (
    BlockFormat,
    Digests,
    DigestWords,
    Rows,
    digest_bytes,
    digest_words,
)
from storage.features.environment import open_environment
from storage.features.handle import Handle
from storage.features.layout import DATABASES
from storage.features.lock import lock_file, writing
from storage.features.opening import is_writable
from storage.features.pages import DATA_FILE
from storage.features.row_reader import Indices, RowReader
from storage.features.row_writer import RowWriter
from storage.features.space import FeatureSpace
from storage.features.space_description import (
    create_space,
    describe_space,
    read_space,
    require_space,
)
from storage.features.verification import StoreProblem, repair_store, verify_store

_EXTRACTOR = re.compile("[A-Za-z0-9_-]+")
_FINGERPRINT = re.compile("[0-9a-f]{32}")

RowState = Literal["stored", "failed", "new"]


@dataclass(frozen=True)
class StoreStatistics:
    """What a store holds.

    Attributes:
        num_rows: Vectors.
        num_failures: Items recorded as failed.
        bytes_on_disk: Size of the data file.
        bytes_of_rows: Size of the bare vectors.
        dead_bytes: Size of the pages that hold nothing now; what is written next takes them.
    """

    num_rows: int
    num_failures: int
    bytes_on_disk: int
    bytes_of_rows: int
    dead_bytes: int

    @property
    def bytes_per_vector(self) -> float:
        """Bytes on disk for each vector; 0 where there are none."""
        return self.bytes_on_disk / self.num_rows if self.num_rows else 0.0


class FeatureStore(Handle):
    """The vectors of one feature space; obtained by `open` or `open_readonly`.

    Any number of processes and threads may use a store at once: writers take turns, readers see
    the last commit before they began. A store may be pickled and used after a fork.

    Args:
        directory: Folder of the store; must exist, unless vectors are to be written.
        space: The feature space to write vectors of; None opens the store for reading only.

    Attributes:
        directory: Folder of the store.
        space: The feature space.
        is_writable: Whether vectors can be written.
    """

    def __init__(self, directory: Path, space: FeatureSpace | None = None) -> None:
        super().__init__()
        self.directory = directory
        self.is_writable = space is not None and _may_write(directory)
        try:
            if space is not None and self.is_writable:
                self._closing.enter_context(writing(directory.parents[1]))
                _make(directory, space)
            self._environment = open_environment(directory, DATABASES, writable=self.is_writable)
            self._closing.callback(self._environment.release)
            if space is not None and self.is_writable:
                describe_space(self._environment, space)
            self.space = read_space(self._environment)
            if space is not None:
                require_space(self._environment, space)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, root: Path, space: FeatureSpace) -> Self:
        """Open the store of a feature space for reading and writing, creating it if need be.

        One that is there and may only be read is opened for reading only.

        Args:
            root: Folder of all stores.
            space: The feature space.

        Raises:
            StoreError: If the folder cannot be made or holds something else.
        """
        return cls(space_folder(root, space), space)

    @classmethod
    def open_readonly(cls, directory: Path) -> Self:
        """Open an existing store for reading; others may write to it meanwhile.

        Raises:
            StoreError: If the folder holds no feature store.
        """
        return cls(directory)

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore, (self.directory, self.space if self.is_writable else None)

    @cached_property
    def block_format(self) -> BlockFormat:
        """Layout of the store's blocks."""
        return BlockFormat(self.space.dim, self.space.dtype)

    def lookup(self, digests: Digests) -> list[RowState]:
        """Say for each digest whether it has a vector, has failed, or is new."""
        keys = digest_bytes(self._words(digests))
        with self._environment.read() as snapshot:
            index, failures = map(self._environment.database, ("index", "failures"))
            get = snapshot.get
            return [
                "stored"
                if get(key, db=index) is not None
                else "failed"
                if get(key, db=failures) is not None
                else "new"
                for key in keys
            ]

    def write(self, vectors: Mapping[bytes, Rows], failures: Mapping[bytes, str]) -> None:
        """Store vectors and failures in one transaction.

        A digest that has a vector keeps it. A vector clears an earlier failure of its digest.

        Args:
            vectors: Digest -> vector. Shape of each: (dim,), in the space's dtype, finite.
            failures: Digest -> why the item has no vector.

        Raises:
            StoreError: If a vector is not one of the space, or nothing could be written (a full
                disk); nothing of this call is stored then.
        """
        keys = list(vectors)
        words, rows = self._words([*keys, *failures])[: len(keys)], self._stack(vectors)

        def body(writer: RowWriter) -> None:
            stored = writer.stored(keys)
            is_new = np.array([key not in stored for key in keys], dtype=np.bool_)
            writer.append(words[is_new], rows[is_new])
            writer.delete("failures", keys)
            writer.record_failures(failures)

        if vectors or failures:
            self._write(body)

    def read(self, digests: Digests) -> Rows:
        """Return the vectors of digests, each checked. Shape: (num_digests, dim).

        Raises:
            StoreError: If a digest has no vector, or its row is damaged.
        """
        out = np.empty((len(digests), self.space.dim), dtype=self.space.dtype)
        self.read_into(digests, out, np.arange(len(digests)))
        return out

    def read_into(self, digests: Digests, out: Rows, targets: Indices) -> None:
        """Copy the vectors of digests to the rows `out[targets]`, each checked.

        Shape: `out` (any, dim), in the space's dtype; `targets` (num_digests,).

        Raises:
            StoreError: If a digest has no vector, or its row is damaged.
            ValueError: If `out` cannot hold the vectors.
        """
        wanted = self._words(digests)
        if out.shape[1:] != (self.space.dim,) or out.dtype != self.space.dtype:
            raise ValueError(
                f"found room for shape {out.shape} and dtype {out.dtype}; "
                f"allowed: (any, {self.space.dim}) and {self.space.dtype}"
            )
        if not len(wanted):
            return
        if len(targets) != len(wanted) or targets.min() < 0 or targets.max() >= len(out):
            raise ValueError(f"found targets that are no {len(wanted)} of the {len(out)} rows")
        with self._environment.read() as snapshot:
            reader = RowReader(self._environment, snapshot, self.block_format)
            if reader.copy_in_order(wanted, out, targets):
                return
            located = reader.locate(wanted)
            if len(located.missing):
                raise self._unreadable(wanted[located.missing], "no vector (or in a bad block)")
            sound = reader.copy(located, wanted, out, targets)
        if not sound.all():
            raise self._unreadable(wanted[~sound], "a row that fails its checksum")

    def digests(self) -> list[bytes]:
        """Return the digests of all vectors, in the order in which they are stored."""
        with self._environment.read() as snapshot:
            reader = RowReader(self._environment, snapshot, self.block_format)
            return digest_bytes(reader.digests())

    def failures(self) -> dict[bytes, str]:
        """Return the reason of every digest that has failed."""
        with self._environment.read() as snapshot:
            cursor = snapshot.cursor(self._environment.database("failures"))
            return {bytes(key): bytes(reason).decode(errors="replace") for key, reason in cursor}

    def forget_failures(self, digests: Digests) -> None:
        """Make failed digests new again."""
        keys = digest_bytes(self._words(digests))
        self._write(lambda writer: writer.delete("failures", keys))

    def statistics(self) -> StoreStatistics:
        """Count what the store holds."""
        with self._environment.read() as snapshot:
            found = {name: snapshot.stat(self._environment.database(name)) for name in DATABASES}
            bytes_in_use = self._environment.bytes_in_use(snapshot)
            bytes_on_disk = (self.directory / DATA_FILE).stat().st_size
        num_rows = found["index"]["entries"]
        return StoreStatistics(
            num_rows=num_rows,
            num_failures=found["failures"]["entries"],
            bytes_on_disk=bytes_on_disk,
            bytes_of_rows=num_rows * self.block_format.row_bytes,
            dead_bytes=max(0, bytes_on_disk - bytes_in_use),
        )

    def verify(self) -> list[StoreProblem]:
        """Check every page, block, row and index entry; see `verify_store`."""
        return verify_store(self.directory)

    def repair(self) -> list[StoreProblem]:
        """Drop every row that is damaged, and every index entry without a sound row.

        The dropped digests are new again: the next extraction makes their vectors anew. Writers
        wait meanwhile.

        Returns:
            What `verify` would have found.

        Raises:
            StoreError: If LMDB's own pages are damaged: then only deleting the folder helps.
        """
        self._require_writable()
        return repair_store(self._environment, self.block_format).problems

    def _write(self, body: Callable[[RowWriter], None]) -> None:
        """Run `body` in one transaction; it may be run again, so it must change nothing else."""
        self._require_writable()
        self._environment.write(
            lambda txn: body(RowWriter(self._environment, txn, self.block_format))
        )

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise StoreError(
                f"{self.directory}: cannot be written: it was opened for reading only, or its "
                "files do not permit more; what it holds can be read"
            )

    def _words(self, digests: Digests) -> DigestWords:
        try:
            return digest_words(digests)
        except ValueError as error:
            raise StoreError(f"{self.directory}: {error}") from error

    def _stack(self, vectors: Mapping[bytes, Rows]) -> Rows:
        """Return vectors as rows, checked. Shape: (num_vectors, dim)."""
        shape, dtype = (self.space.dim,), np.dtype(self.space.dtype)
        for digest, vector in vectors.items():
            if vector.shape != shape or vector.dtype != dtype:
                raise StoreError(
                    f"{self.directory}: found a vector of shape {vector.shape} and dtype "
                    f"{vector.dtype} for {digest.hex()}; allowed: {shape} and {dtype}"
                )
        rows: Rows = np.array(list(vectors.values()), dtype=dtype).reshape(len(vectors), *shape)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            digest = list(vectors)[int(np.argmin(finite))]
            raise StoreError(
                f"{self.directory}: found NaN or infinity in the vector for {digest.hex()}; "
                "allowed: finite numbers"
            )
        return rows

    def _unreadable(self, words: DigestWords, found: str) -> DamagedStoreError:
        return DamagedStoreError(
            f"{self.directory}: found {found} for {digest_bytes(words[:1])[0].hex()} "
            f"({len(words)} such); `mocme store verify` names all that is damaged"
        )


def space_folder(root: Path, space: FeatureSpace) -> Path:
    """Return the folder of a space's store under a root."""
    return root / space.extractor / space.fingerprint


def _may_write(directory: Path) -> bool:
    """Whether a store may be written; one that is not there yet is to be made, or fails there."""
    lock = lock_file(directory.parents[1])
    return not (directory / DATA_FILE).exists() or (
        is_writable(directory) and os.access(lock if lock.exists() else lock.parent, os.W_OK)
    )


def _make(directory: Path, space: FeatureSpace) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / DATA_FILE).exists():
            create_space(directory, space)
    except (OSError, lmdb.Error) as error:
        raise StoreError(f"{directory}: cannot be made: {error}") from error


def feature_spaces(root: Path) -> list[Path]:
    """Return the folders of all stores under a root, in order; none that is named otherwise.

    Raises:
        StoreError: If a folder cannot be listed.
    """
    try:
        return sorted(
            path
            for extractor in _folders(root, _EXTRACTOR)
            for path in _folders(extractor, _FINGERPRINT)
            if os.path.lexists(path / DATA_FILE)
        )
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def _folders(root: Path, name: re.Pattern[str]) -> list[Path]:
    """Return the folders of such a name in a folder, which need not be there."""
    if not root.exists():
        return []
    return [path for path in root.iterdir() if name.fullmatch(path.name) and path.is_dir()]
