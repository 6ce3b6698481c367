"""Shards: small stores in which parts of an extraction are made, then merged into the real one.

A shard is the store `STORE/.shards/<name>/<extractor>/<fingerprint>/`, like any other. One process
at a time is at work in it (storage/features/lock.py), first whoever extracts, then whoever merges,
so the two may be on different machines. Each batch is merged in one transaction, and the shard
deleted after the last one: a merge that was killed is ended by the next one, and merging twice
changes nothing.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from storage.errors import StoreError
from storage.features.block import Rows
from storage.features.environment import DATA_FILE
from storage.features.lock import InUseError, owning
from storage.features.store import FeatureStore, space_folder
from storage.features.trash import discard

_SHARDS = ".shards"  # its spaces lie two levels deeper than those of the store
_ROWS_PER_COMMIT = 4096

_logger = logging.getLogger(__name__)


def shard_folder(root: Path, name: str) -> Path:
    """Return the folder of a shard below a store's; its feature space's folder lies in it."""
    return root / _SHARDS / name


def shard_spaces(root: Path) -> list[Path]:
    """Return the feature spaces' folders of all shards below a store's, in order."""
    return sorted(path.parent for path in (root / _SHARDS).glob(f"*/*/*/{DATA_FILE}"))


def merged_into(root: Path, directory: Path) -> Path:
    """Return the folder, below a store's, that a shard's feature space is merged into."""
    return root / directory.parent.name / directory.name


def merge_shard(target: FeatureStore, root: Path, name: str) -> None:
    """Move what a shard holds into the store; waits for whoever is at work in it.

    A shard that is gone, or empty, is no error. One that cannot be read is deleted: what it held is
    new still, and extracted again.

    Args:
        target: Where to; open for writing.
        root: Folder of all stores.
        name: The shard's.

    Raises:
        StoreError: If nothing could be written (a full disk), or the shard is of another feature
            space; it is kept then.
    """
    folder = shard_folder(root, name)
    if folder.is_dir():
        with owning(folder):
            _merge(target, root, folder)


def adopt_shards(target: FeatureStore, root: Path) -> None:
    """Merge the shards of a store's feature space that runs which were killed have left.

    Those that somebody is at work in are left alone.

    Raises:
        StoreError: If nothing could be written (a full disk).
    """
    for directory in shard_spaces(root):
        folder = directory.parents[1]
        if merged_into(root, directory) == space_folder(root, target.space):
            with suppress(InUseError), owning(folder, wait=False):
                _merge(target, root, folder)


def _merge(target: FeatureStore, root: Path, folder: Path) -> None:
    """Copy what a shard holds, then delete it."""
    directory = space_folder(folder, target.space)
    others = [path for path in _spaces_in(folder) if path != directory]
    if others:
        raise StoreError(
            f"{folder}: found vectors of {others[0].relative_to(folder)}; "
            f"allowed: of {directory.relative_to(folder)}"
        )
    for vectors, failures in _batches(directory):
        target.write(vectors, failures)
    discard(root, folder)


def _spaces_in(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob(f"*/*/{DATA_FILE}")]


def _batches(directory: Path) -> Iterator[tuple[dict[bytes, Rows], dict[bytes, str]]]:
    """Yield vectors and failures of a shard, as far as they can be read."""
    if not (directory / DATA_FILE).is_file():
        return
    try:
        with FeatureStore.open_readonly(directory) as shard:
            digests = shard.digests()
            for start in range(0, len(digests), _ROWS_PER_COMMIT):
                part = digests[start : start + _ROWS_PER_COMMIT]
                yield dict(zip(part, shard.read(part), strict=True)), {}
            yield {}, shard.failures()
    except StoreError as error:
        _logger.warning("a shard is deleted, what it lacks will be extracted again: %s", error)
