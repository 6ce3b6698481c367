"""Whether a folder that is to be written to can be, found out before there is anything to write."""

import os
from pathlib import Path

from storage.files.file_errors import FileError


def check_place(key: str, path: Path, *, may_be_read_only: bool = False) -> None:
    """Refuse a place in which a folder cannot be made, or is and cannot be written to.

    Nothing is made.

    Args:
        key: What names the place in the user's config, for messages.
        path: Absolute path of the folder, which need not be there.
        may_be_read_only: Whether a folder that is there may be one that can only be read.

    Raises:
        FileError: If it is such a place.
    """
    nearest = next(it for it in (path, *path.parents) if os.path.lexists(it))
    if not nearest.is_dir():
        _refuse(key, nearest, "no folder")
    if not (may_be_read_only and nearest == path) and not os.access(nearest, os.W_OK | os.X_OK):
        _refuse(key, nearest, "a folder that cannot be written to")


def _refuse(key: str, place: Path, found: str) -> None:
    raise FileError(
        f"'{key}': {place}: found {found}; allowed: a folder that can be written to, or the path "
        "of a new one in such a folder"
    )
