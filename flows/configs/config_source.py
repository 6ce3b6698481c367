"""The text of a config, read exactly once: from a file, or from a pipe such as /dev/stdin."""

import os
import select
import stat
import time
from pathlib import Path

from storage.errors import MocmeError

_MAX_BYTES = 1_000_000
_SECONDS_OF_A_PIPE = 60.0
_SECONDS_OF_AN_EMPTY_PIPE = 1.0  # in which a writer may come


class ConfigError(MocmeError):
    """A config that cannot be used as it is written; one line for each problem."""


def read_source(path: Path) -> tuple[str, Path]:
    """Read the text of a config.

    Args:
        path: A file or a pipe.

    Returns:
        The text, and the folder that its relative paths start from: the file's, or of a pipe the
        working folder.

    Raises:
        ConfigError: If it is something else, cannot be read, is too large or is not UTF-8.
    """
    try:
        folder = Path.cwd() if _is_descriptor(path) else path.absolute().parent
    except OSError:
        raise ConfigError(
            f"{path}: found a working folder that is gone; allowed: a folder that is there, or the "
            "config's absolute path"
        ) from None
    try:
        content, is_pipe = _read(path)
        return content.decode("utf-8-sig"), Path.cwd() if is_pipe else folder
    except UnicodeDecodeError as error:
        place = f"{path}, line {content.count(10, 0, error.start) + 1}"
        raise _refusal(place, "bytes that are not UTF-8") from error
    except (OSError, ValueError) as error:  # ValueError: a path with \0
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _refusal(str(path), str(reason)) from error


def _is_descriptor(path: Path) -> bool:
    """Whether a path such as /dev/stdin names what the process has open."""
    folder = str(path.parent)
    is_of_proc = folder.startswith("/proc/") and path.parent.name == "fd"
    return is_of_proc or folder in ("/dev", "/dev/fd")


def _read(path: Path) -> tuple[bytes, bool]:
    """Return the content, and whether it came from a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode):
            return _read_pipe(path, descriptor), True
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device"
            raise _refusal(str(path), kind)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _bounded(path, file.read(_MAX_BYTES + 1)), False
    finally:
        os.close(descriptor)


def _read_pipe(path: Path, descriptor: int) -> bytes:
    """Read until the writers are done, or take too long."""
    content, start = b"", time.monotonic()
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            if time.monotonic() - start > _SECONDS_OF_A_PIPE:
                raise _refusal(str(path), "a pipe whose writer does not end") from None
            select.select([descriptor], [], [], _SECONDS_OF_AN_EMPTY_PIPE)
            continue
        content = _bounded(path, content + part)
        if not part and (content or time.monotonic() - start > _SECONDS_OF_AN_EMPTY_PIPE):
            return content
        if not part:
            time.sleep(0.01)


def _bounded(path: Path, content: bytes) -> bytes:
    if len(content) > _MAX_BYTES:
        raise _refusal(str(path), f"more than {_MAX_BYTES:,} bytes")
    return content


def _refusal(place: str, found: str) -> ConfigError:
    return ConfigError(f"{place}: found {found}; allowed: a readable YAML file")
