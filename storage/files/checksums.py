"""Checksums of files, and of JSON objects that carry their own.

A file is read once a process, and again when its size, times or inode have changed.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from storage.files.file_access import FileSignature
from storage.files.owned import check_readable_file

SEAL = "checksum"
"""Key of a JSON object under which its own checksum stands."""

_known: dict[Path, tuple[FileSignature, str]] = {}


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex.

    Raises:
        OSError: If it cannot be read.
        ForeignFileError: If it is no plain file.
    """
    check_readable_file(path)
    now, place = FileSignature.at(path), path.absolute()
    if place in _known and _known[place][0] == now:
        return _known[place][1]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _known[place] = (now, found)
    return found


def describe(path: Path) -> dict[str, Any]:
    """Return a file's size in bytes and its checksum, as JSON values."""
    return {"size": path.stat().st_size, "sha256": file_checksum(path)}


def is_as_described(path: Path, described: object) -> bool:
    """Whether a file has the bytes that were described.

    Args:
        path: The file.
        described: What `describe` returned; a bare number is a size, of before checksums.

    Raises:
        OSError: If it cannot be read.
        ForeignFileError: If it is no plain file.
    """
    check_readable_file(path)
    if isinstance(described, int):
        return path.stat().st_size == described
    return isinstance(described, Mapping) and describe(path) == described


def seal(value: Mapping[str, Any], covered: Collection[str] | None = None) -> str:
    """Return the checksum of a JSON object's entries.

    Args:
        value: The object; its own seal is left out.
        covered: Keys of the entries; None: all.
    """
    keys = value.keys() if covered is None else covered
    kept = {key: value.get(key) for key in keys if key != SEAL}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
