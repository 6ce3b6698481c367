"""Replacing files that mocme makes, without the loss of what somebody else has put in their place.

A file is mocme's if it has the bytes that were written down of it. Any other is moved to the folder
`kept` beside it before its name is used.
"""

import logging
import os
from itertools import chain, count
from pathlib import Path

from storage.atomic import replacing
from storage.files.checksums import is_as_described
from storage.files.owned import is_own_file, own_folder

KEPT_FOLDER = "kept"

_logger = logging.getLogger(__name__)


def replace_own(path: Path, content: bytes, described: object) -> None:
    """Write a file; another one that stands there is kept.

    Args:
        path: The file.
        content: What it is to hold.
        described: What `storage.files.checksums.describe` said of it when it was written; None:
            nothing.

    Raises:
        ForeignFileError: If something else than a folder is in the place of `kept`.
        WriteError: If it cannot be written.
    """
    if is_own_file(path.parent, path.name) and path.read_bytes() == content:
        return
    keep_foreign(path, described)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def keep_foreign(path: Path, described: object) -> None:
    """Move a file away if it is not as described; what is no plain file stays.

    Args:
        path: The file; may be absent.
        described: See `replace_own`.

    Raises:
        ForeignFileError: If something else than a folder is in the place of `kept`.
        OSError: If it cannot be moved.
    """
    if not is_own_file(path.parent, path.name):
        return
    if described is not None and is_as_described(path, described):
        return
    kept = _free_path(own_folder(path.parent / KEPT_FOLDER), path)
    path.rename(kept)
    _logger.warning("%s: found a file that is not as mocme left it; it is kept as %s", path, kept)


def _free_path(folder: Path, path: Path) -> Path:
    """Return a path in a folder at which nothing stands, named like another one."""
    names = (f"{path.stem}-{number}{path.suffix}" for number in count(2))
    return next(
        folder / name for name in chain([path.name], names) if not os.path.lexists(folder / name)
    )
