"""Errors of reading and writing files, told as what they are: no permission is no damage."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from storage.errors import MocmeError

_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # how safetensors words an error of the system
_NO_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
"""What parsing wrong bytes raises; JSON nested too deep is a RuntimeError, too."""


class FileError(MocmeError):
    """A file that cannot be read or written, whatever its bytes are."""


class DamagedFileError(MocmeError):
    """A file whose bytes were read and are not those that were written."""


@contextmanager
def read_errors(path: Path, remedy: str) -> Iterator[None]:
    """Turn whatever reading a file raises into an error that names the file.

    Args:
        path: The file.
        remedy: How a damaged file is made anew.

    Raises:
        FileError: If the file is absent, or the system fails to read it.
        DamagedFileError: If its bytes were read and are wrong.
    """
    try:
        yield
    except (OSError, MemoryError, SafetensorError, *_DAMAGE) as error:
        if (reason := system_reason(error)) is not None:
            raise FileError(f"{_place(error, path)}: cannot be read: {reason}") from error
        raise DamagedFileError(
            f"{path}: found a damaged file ({type(error).__name__}: {_one_line(error)}); allowed: "
            f"the file as it was written; {remedy}"
        ) from error


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn what the system refuses while a file is written into an error that names the file.

    Raises:
        FileError: If the system fails to write it.
    """
    try:
        yield
    except (OSError, MemoryError, SafetensorError, RuntimeError) as error:
        if (reason := system_reason(error)) is None:
            raise
        raise FileError(
            f"{path}: cannot be written: {reason}; allowed: a place with room that can be written "
            "to; the same command goes on from there"
        ) from error


def system_reason(error: BaseException) -> str | None:
    """Return what the system says is the matter; None if the error is none of the system's."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    if (found := _OS_ERROR.search(text)) is not None:
        return os.strerror(int(found[1]))
    is_memory = isinstance(error, MemoryError) or any(it in text.lower() for it in _NO_MEMORY)
    if is_memory:
        return os.strerror(errno.ENOMEM)
    return _one_line(error) if isinstance(error, OSError) else None


def _place(error: BaseException, path: Path) -> str:
    """Return the file that the system names, if it is another one in the same folder."""
    named = error.filename if isinstance(error, OSError) else None
    is_beside = isinstance(named, str) and Path(named).parent == path.parent
    return str(named) if is_beside else str(path)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
