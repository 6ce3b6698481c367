"""What nobody refers to in a store: whole feature spaces, and single vectors of others.

A space is gone with its data file, and vectors are dropped in one transaction, so a kill at any
moment leaves a valid store. What cannot be read, or is reached through a link, is named and left:
storage/features/removal.py says what may be deleted.
"""

from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.errors import StoreError
from storage.features.block import Block, BlockError, BlockFormat, digest_bytes
from storage.features.environment import Environment, Transaction, open_environment
from storage.features.layout import DATABASES
from storage.features.pages import DATA_FILE
from storage.features.removal import delete_space, own_space
from storage.features.row_writer import RowWriter
from storage.features.shards import delete_shard, merged_into, shard_spaces
from storage.features.space_description import read_space
from storage.features.store import FeatureStore, feature_spaces

Used = Mapping[Path, Set[bytes] | None]
"""Folder of a space -> digests that somebody refers to; None keeps all of the space."""

_KEYED = ("index", "failures")  # by digest


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nobody refers to in one feature space.

    Attributes:
        directory: Folder of the space.
        is_whole: Whether nobody refers to the space at all.
        num_vectors: Vectors.
        num_failures: Items recorded as failed.
        num_bytes: Bytes on disk of a whole space, else of the bare vectors; LMDB keeps the latter
            for what is written next.
        left: Why it is not deleted, if it may not be.
    """

    directory: Path
    is_whole: bool
    num_vectors: int
    num_failures: int
    num_bytes: int
    left: str | None = None


def find_garbage(root: Path, used: Used) -> list[Garbage]:
    """Return what nobody refers to, in the order of the spaces' folders; nothing is changed.

    Shards that were left of such a space are garbage, too; those of others are merged by the next
    extraction.
    """
    found = [
        _unused_of(directory, used[directory]) if directory in used else _whole(directory)
        for directory in feature_spaces(root)
    ]
    shards = [path for path in shard_spaces(root) if merged_into(root, path) not in used]
    return [garbage for garbage in found if garbage is not None] + [*map(_whole, shards)]


def collect_garbage(root: Path, used: Used) -> list[Garbage]:
    """Delete what nobody refers to.

    The caller holds `storage.features.lock.deleting`.

    Returns:
        What was deleted, and what was left.
    """
    found = find_garbage(root, used)
    for garbage in found:
        if garbage.left is None and garbage.is_whole:
            _delete_whole(root, garbage.directory)
        elif garbage.left is None:
            _drop_unused(garbage.directory, used[garbage.directory] or frozenset())
    return found


def _whole(directory: Path) -> Garbage:
    """Describe a space that nobody refers to."""
    num_bytes = (directory / DATA_FILE).lstat().st_size
    try:
        own_space(directory)
        with FeatureStore.open_readonly(directory) as store:
            counts = store.statistics()
    except StoreError as error:
        return Garbage(directory, True, 0, 0, num_bytes, left=str(error))
    return Garbage(directory, True, counts.num_rows, counts.num_failures, num_bytes)


def _unused_of(directory: Path, used: Set[bytes] | None) -> Garbage | None:
    """Describe the vectors and failures of a space that nobody refers to, if there are any."""
    if used is None:
        return None
    environment = open_environment(directory, DATABASES, writable=False)
    try:
        space = read_space(environment)
        with environment.read() as snapshot:
            keys, failures = (_unused_keys(environment, snapshot, it, used) for it in _KEYED)
    finally:
        environment.release()
    if not keys and not failures:
        return None
    num_bytes = len(keys) * BlockFormat(space.dim, space.dtype).row_bytes
    return Garbage(directory, False, len(keys), len(failures), num_bytes, _why_left(directory))


def _why_left(directory: Path) -> str | None:
    """Say why nothing of a space may be deleted, if so."""
    try:
        own_space(directory)
    except StoreError as error:
        return str(error)
    return None


def _unused_keys(
    environment: Environment, snapshot: Transaction, name: str, used: Set[bytes]
) -> list[bytes]:
    cursor = snapshot.cursor(environment.database(name))
    keys = (bytes(key) for key in cursor.iternext(values=False))
    return [key for key in keys if key not in used]


def _delete_whole(root: Path, directory: Path) -> None:
    """Delete a space, or the shard that it is in."""
    if directory == merged_into(root, directory):
        delete_space(directory)
    else:
        delete_shard(directory)


def _drop_unused(directory: Path, used: Set[bytes]) -> None:
    """Drop, in one transaction, the rows and failures of a space that nobody refers to."""
    environment = open_environment(directory, DATABASES, writable=True)
    try:
        space = read_space(environment)
        block_format = BlockFormat(space.dim, space.dtype)

        def body(transaction: Transaction) -> None:
            writer = RowWriter(environment, transaction, block_format)
            for name in _KEYED:
                writer.delete(name, _unused_keys(environment, transaction, name, used))
            for number, kept in _kept_rows(environment, transaction, block_format, used).items():
                writer.keep_rows(number, kept)

        environment.write(body)
    finally:
        environment.release()


def _kept_rows(
    environment: Environment, transaction: Transaction, block_format: BlockFormat, used: Set[bytes]
) -> dict[int, NDArray[np.bool_]]:
    """Return which rows to keep of the blocks that lose some; damage is left to a repair."""
    found = {}
    for key, value in transaction.cursor(environment.database("blocks")):
        with suppress(BlockError):
            kept = _are_used(block_format.parse(value), used)
            if not kept.all():
                found[int.from_bytes(key, "big")] = kept
    return found


def _are_used(block: Block, used: Set[bytes]) -> NDArray[np.bool_]:
    return np.array([digest in used for digest in digest_bytes(block.digests)], dtype=np.bool_)
