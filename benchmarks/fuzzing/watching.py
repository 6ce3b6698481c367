"""Runs the command line on a case in a process of its own, and says how that ended.

Processes are forked from this one, which has imported everything, so a case costs what its command
does. They may not take more than a few GiB, nor more than a minute.
"""

import hashlib
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

Ending = Literal["done", "one clear error", "foreign exception", "crash", "hang"]

MOST_SECONDS = 60.0
_MOST_BYTES = 12 * 2**30  # of data; torch alone takes some
_MOST_ERRORS = 25  # a config may have many faults, a line each
_HIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        how: Which of the endings.
        code: Exit code, or minus the signal's number.
        said: The end of what it printed.
        hides: Whether it printed control characters.
    """

    how: Ending
    code: int
    said: str
    hides: bool


def run_command(words: Sequence[str], folder: Path) -> Ended:
    """Run `mocme WORDS` in a folder."""
    printed = folder.with_name(folder.name + ".printed")
    pid = os.fork()
    if pid == 0:
        _be_the_command(words, folder, printed)
    status = _wait(pid)
    said = printed.read_bytes() if printed.exists() else b""
    printed.unlink(missing_ok=True)
    code = -signal.SIGALRM if status is None else os.waitstatus_to_exitcode(status)
    how = "hang" if status is None else _ending(code, said)
    tail = said.decode(errors="replace").strip()[-600:]
    return Ended(how, code, tail, _HIDDEN.search(said) is not None)


def _be_the_command(words: Sequence[str], folder: Path, printed: Path) -> NoReturn:
    """Be the child: run the command line as its console script does."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(file, stream)
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
        from mocme.cli import main

        sys.argv = ["mocme", *words]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _wait(pid: int) -> int | None:
    """Return a child's status, or None if it had to be ended."""
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.003)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _ending(code: int, said: bytes) -> Ending:
    if code < 0:
        return "crash"
    if b"Traceback (most recent call last)" in said or code not in (0, 1, 2):
        return "foreign exception"
    if code == 0:
        return "done"
    num_errors = sum(line.startswith(b"error: ") for line in said.splitlines())
    return "one clear error" if said and num_errors <= _MOST_ERRORS else "foreign exception"


Listing = Mapping[str, tuple[int, str]]
"""Of every path below a folder, its mode and a digest of what it holds or leads to."""


def listing(folder: Path) -> Listing:
    """List a folder with all below it."""
    return {str(path): _described(path) for path in sorted(folder.rglob("*"))}


def _described(path: Path) -> tuple[int, str]:
    found = path.lstat()
    if path.is_symlink():
        return found.st_mode, str(path.readlink())
    content = path.read_bytes() if path.is_file() else b""
    return found.st_mode, hashlib.sha256(content).hexdigest()
