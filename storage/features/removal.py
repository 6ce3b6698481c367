"""Deletes what mocme has made in a store: files by name, where it has left its mark; nothing else.

The mark of a feature space is its description: it must be readable, and be the one that the
folder's name is the fingerprint of. Whatever else lies in such a folder stays, and the folder with
it. No symbolic link is followed.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from storage.atomic import leftovers
from storage.errors import StoreError
from storage.features.environment import open_environment
from storage.features.layout import DATABASES
from storage.features.pages import CHECKED_FILE, DATA_FILE, LOCK_FILE
from storage.features.space import FeatureSpace
from storage.features.space_description import read_space
from storage.files.owned import delete_own_files

_SPACE_FILES = (LOCK_FILE, CHECKED_FILE, DATA_FILE)


def own_space(directory: Path) -> FeatureSpace:
    """Return the feature space in a folder, which mocme has made and may delete.

    Raises:
        StoreError: If it is reached through a symbolic link, cannot be read, or is no space of the
            folder's name.
    """
    require_no_links(directory)
    environment = open_environment(directory, DATABASES, writable=False)
    try:
        space = read_space(environment)
    finally:
        environment.release()
    if (space.extractor, space.fingerprint) != (directory.parent.name, directory.name):
        raise StoreError(
            f"{directory}: found the feature space {space.extractor}/{space.fingerprint}; "
            "allowed: deleting one that the folder is named after"
        )
    return space


def require_no_links(directory: Path) -> None:
    """Refuse a space's folder that is reached through a link below the store, or holds one.

    Raises:
        StoreError: If it is.
    """
    for path in (directory.parent, directory, directory / DATA_FILE):
        if path.is_symlink():
            raise StoreError(f"{path}: found a symbolic link; allowed: what lies in the store")


def delete_space(directory: Path) -> None:
    """Delete the files of a feature space, then its folder and its extractor's if nothing is left.

    The data file is the last one: killed before, the space is whole; killed after, it is gone.

    Raises:
        StoreError: If it is none that mocme has made, or a file cannot be deleted.
    """
    own_space(directory)
    _delete_files(directory, (*_SPACE_FILES, *(path.name for path in leftovers(directory))))
    _remove_empty(directory, directory.parent)


def delete_files(folder: Path, names: Iterable[str]) -> None:
    """Delete files of a folder, and it if nothing is left; see the module."""
    _delete_files(folder, names)
    _remove_empty(folder)


def _delete_files(folder: Path, names: Iterable[str]) -> None:
    try:
        delete_own_files(folder, names)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be deleted: {error.strerror}") from error


def _remove_empty(*folders: Path) -> None:
    with suppress(OSError):  # something else lies there
        for folder in folders:
            folder.rmdir()
