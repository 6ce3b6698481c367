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

from storage.errors import DamagedStoreError, StoreError
from storage.features.block import Rows
from storage.features.lock import OWNER_FILE, STORE_FILE, InUseError, owning
from storage.features.pages import DATA_FILE
from storage.features.removal import delete_files, delete_space
from storage.features.store import FeatureStore, feature_spaces, space_folder

_SHARDS = ".shards"  # its spaces lie two levels deeper than those of the store
_ROWS_PER_COMMIT = 4096

_logger = logging.getLogger(__name__)


def shard_folder(root: Path, name: str) -> Path:
    """Return the folder of a shard below a store's; its feature space's folder lies in it."""
    return root / _SHARDS / name


def shard_spaces(root: Path) -> list[Path]:
    """Return the feature spaces' folders of all shards below a store's, in order."""
    shards = root / _SHARDS
    if not shards.is_dir() or shards.is_symlink():
        return []
    folders = sorted(path for path in shards.iterdir() if path.is_dir() and not path.is_symlink())
    return [space for folder in folders for space in feature_spaces(folder)]


def merged_into(root: Path, directory: Path) -> Path:
    """Return the folder, below a store's, that a shard's feature space is merged into."""
    return root / directory.parent.name / directory.name


def merge_shard(target: FeatureStore, root: Path, name: str) -> None:
    """Move what a shard holds into the store; waits for whoever is at work in it.

    A shard that is gone, or empty, is no error. Of one whose rows are damaged, what it held is new
    still, and extracted again.

    Args:
        target: Where to; open for writing.
        root: Folder of all stores.
        name: The shard's.

    Raises:
        DamagedStoreError: If its pages are damaged; it is kept then.
        StoreError: If nothing could be written (a full disk), or the shard cannot be read, or is of
            another feature space; it is kept then.
    """
    folder = shard_folder(root, name)
    if folder.is_dir():
        with owning(folder):
            _merge(target, folder)


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
                _adopt(target, folder)


def _adopt(target: FeatureStore, folder: Path) -> None:
    """Merge what another run left; one that cannot be read must not stop this run."""
    try:
        _merge(target, folder)
    except DamagedStoreError as error:
        _logger.warning("a shard is left as it is, what it holds is extracted again: %s", error)


def delete_shard(directory: Path) -> None:
    """Delete a shard: its feature space, then the files by which its owner is alone with it.

    Args:
        directory: Folder of the feature space; need not be there.

    Raises:
        StoreError: If the space is none that mocme has made, or a file cannot be deleted.
    """
    folder = directory.parents[1]
    if (directory / DATA_FILE).exists():
        delete_space(directory)
    if not feature_spaces(folder):
        delete_files(folder, (STORE_FILE, OWNER_FILE))
    with suppress(OSError):  # there are others
        folder.parent.rmdir()


def _merge(target: FeatureStore, folder: Path) -> None:
    """Copy what a shard holds, then delete it."""
    directory = space_folder(folder, target.space)
    others = [path for path in feature_spaces(folder) if path != directory]
    if others:
        raise StoreError(
            f"{folder}: found vectors of {others[0].relative_to(folder)}; "
            f"allowed: of {directory.relative_to(folder)}"
        )
    for vectors, failures in _batches(directory):
        target.write(vectors, failures)
    delete_shard(directory)


def _batches(directory: Path) -> Iterator[tuple[dict[bytes, Rows], dict[bytes, str]]]:
    """Yield vectors and failures of a shard, as far as its rows are sound."""
    if not (directory / DATA_FILE).exists():
        return
    with FeatureStore.open_readonly(directory) as shard:
        try:
            digests = shard.digests()
            for start in range(0, len(digests), _ROWS_PER_COMMIT):
                part = digests[start : start + _ROWS_PER_COMMIT]
                yield dict(zip(part, shard.read(part), strict=True)), {}
        except DamagedStoreError as error:
            _logger.warning("what a shard lacks will be extracted again: %s", error)
        yield {}, shard.failures()
