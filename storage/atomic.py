"""Files and links that are there whole or not at all.

A temporary is made beside its target, by `O_EXCL` under a name that nobody else makes: no two
processes, threads or containers share one, and a link that lies in wait is never followed. Its
permissions are those of any new file. A killed process leaves it; `leftovers` finds it then.
"""

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import WriteError

_MOST_OF_NAME = 32  # characters: a name may have 255 bytes, and a character up to four
_MAKER = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())[:_MOST_OF_NAME] or "host"
_TEMPORARY = re.compile(r"\..{1,32}\.[A-Za-z0-9-]{1,32}-\d+-[0-9a-f]{16}\.part", re.DOTALL)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new, empty file beside `path`; on success it takes the place of `path` at once.

    The content is on disk before the name changes, so a crash leaves the old file or the new one.
    A symbolic link at `path` is replaced itself, not what it points to.

    Raises:
        WriteError: If the file cannot be written (a full disk, say). What stood at `path` is kept.
    """
    with new_file(path) as temporary:
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # a library may have put a private file of its own in its place
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a new, empty file beside `path`, which is deleted in the end.

    Raises:
        WriteError: If the file cannot be written.
    """
    temporary = _temporary(path)
    try:
        os.close(os.open(temporary, _NEW_FILE, 0o666))
        yield temporary
    except OSError as error:
        if error.filename in (None, str(temporary), os.fsencode(temporary)):
            raise WriteError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        with suppress(OSError):  # it has taken the place of `path`, or could not be made
            temporary.unlink()


def replace_link(link: Path, target: str | Path) -> None:
    """Let a symbolic link point to `target`, at once; what stood at its path is replaced.

    Raises:
        WriteError: If the link cannot be made, or a folder stands at its path.
    """
    temporary = _temporary(link)
    try:
        temporary.symlink_to(target)  # fails where anything stands
        temporary.replace(link)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise WriteError(error.errno, error.strerror, str(link)) from error
    _sync(link.parent)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old or the new content, never a part.

    Raises:
        WriteError: If the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def leftovers(folder: Path) -> list[Path]:
    """Return the temporaries in a folder; whoever is alone there may delete them.

    Only regular files and links whose whole name is a temporary's are any.
    """
    return [
        Path(entry.path)
        for entry in os.scandir(folder)
        if _TEMPORARY.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False)
    ]


def _temporary(path: Path) -> Path:
    """Return a path beside another one, under a name that nobody else makes."""
    unique = f"{_MAKER}-{os.getpid()}-{secrets.token_hex(8)}"
    return path.with_name(f".{path.name[:_MOST_OF_NAME]}.{unique}.part")


def _sync(path: Path) -> None:
    """Put a file's content, or a folder's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems sync no folders
            raise
    finally:
        os.close(descriptor)
