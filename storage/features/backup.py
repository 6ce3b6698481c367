"""Copies of a store that is in use: each feature space as its last commit left it."""

from pathlib import Path

from storage.atomic import replacing
from storage.errors import StoreError
from storage.features.environment import DATA_FILE, open_environment
from storage.features.layout import DATABASES
from storage.features.lock import deleting
from storage.features.store import feature_spaces


def copy_store(root: Path, target: Path) -> list[Path]:
    """Copy the feature spaces of a store into another folder, over older copies of them.

    Others may write to the store meanwhile. A copy that is interrupted leaves every space as it was
    or as it shall be. Free pages are left out. What else lies in a store is no loss: digests of
    files are taken anew, and shards are merged into the store by the next extraction.

    Returns:
        The folders of the copies.

    Raises:
        StoreError: If there is nothing to copy, it cannot be read, or a run writes to the target.
    """
    found = feature_spaces(root)
    if not found:
        raise StoreError(f"{root}: found no feature space; allowed: the folder of a store")
    if target.resolve() == root.resolve():
        raise StoreError(f"{target}: found the store itself; allowed: another folder")
    with deleting(target):
        return [_copy(directory, target / directory.relative_to(root)) for directory in found]


def _copy(directory: Path, target: Path) -> Path:
    environment = open_environment(directory, DATABASES, writable=False)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with replacing(target / DATA_FILE) as file:
            environment.copy(file)
    finally:
        environment.release()
    return target
