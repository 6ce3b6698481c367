"""Copies of a store that is in use: each feature space as its last commit left it."""

import os
from pathlib import Path

from storage.atomic import leftovers, replacing
from storage.errors import StoreError, WriteError
from storage.features.environment import open_environment
from storage.features.layout import DATABASES
from storage.features.lock import deleting
from storage.features.pages import DATA_FILE
from storage.features.removal import own_space, require_no_links
from storage.features.space import FeatureSpace
from storage.features.space_description import read_space
from storage.features.store import feature_spaces


def copy_store(root: Path, target: Path) -> list[Path]:
    """Copy the feature spaces of a store into another folder, over older copies of them only.

    Others may write to the store meanwhile. A copy that is interrupted leaves every space as it was
    or as it shall be. Free pages are left out. What else lies in a store is no loss: digests of
    files are taken anew, and shards are merged into the store by the next extraction.

    Returns:
        The folders of the copies.

    Raises:
        StoreError: If there is nothing to copy, it cannot be read, a run writes to the target, or
            something else than an older copy stands there. The other spaces are copied all the
            same.
    """
    found = feature_spaces(root)
    if not found:
        raise StoreError(f"{root}: found no feature space; allowed: the folder of a store")
    if target.resolve() == root.resolve():
        raise StoreError(f"{target}: found the store itself; allowed: another folder")
    copied, errors = list[Path](), list[StoreError]()
    with deleting(target):
        for directory in found:
            try:
                copied.append(_copy(directory, target / directory.relative_to(root)))
            except StoreError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return copied


def _copy(directory: Path, target: Path) -> Path:
    environment = open_environment(directory, DATABASES, writable=False)
    try:
        space = read_space(environment)
        _make_room(target, space)
        with replacing(target / DATA_FILE) as file:
            environment.copy(file)
    except WriteError as error:
        raise StoreError(str(error)) from error
    finally:
        environment.release()
    return target


def _make_room(target: Path, space: FeatureSpace) -> None:
    """Make the folder of a copy, where nothing but an older copy may stand; end one's writing.

    Raises:
        StoreError: If anything else stands there.
    """
    try:
        require_no_links(target)
        target.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target / DATA_FILE):
            found = own_space(target)
            if found.describe() != space.describe():
                raise StoreError(f"{target}: found another feature space; allowed: an older copy")
        for path in leftovers(target):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
