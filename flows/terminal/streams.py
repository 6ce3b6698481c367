"""Standard output and error: no text can act on them, any encoding will do, an end is no crash."""

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from flows.exit_codes import RUN_FAILED
from storage.words.visible import visible


class OutputError(OSError):
    """Standard output or error that cannot be written to; its file name is what they are called."""


class CheckedStream(io.TextIOBase):
    """A standard stream as it is, whose failures are told from those of other files.

    Args:
        stream: The stream; None if it was closed when the program started.
        name: What it is called.
    """

    def __init__(self, stream: TextIO | None, name: str) -> None:
        self._stream, self._name = stream, name
        self._is_lost = False
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # Latin-1 cannot write every name

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream, which need not have every letter."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write text as it is."""
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered."""
        if self._stream is not None and not self._is_lost:
            self._attempt(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Return whether a terminal shows it."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def _attempt(self, action: Callable[[TextIO], Any]) -> None:
        try:
            if self._stream is None:
                raise OSError(errno.EBADF, "a closed file")
            action(self._stream)
        except OSError as error:
            self._is_lost = True
            raise OutputError(error.errno, error.strerror, self._name) from error


class VisibleStream(io.TextIOBase):
    """A standard stream for all but our own consoles: hidden characters become escapes.

    It is no terminal, so no library sends colors to it, and it has no `buffer`, past which bytes
    would go.

    Attributes:
        trusted: The stream as it is, for consoles that escape what they are given themselves.
    """

    def __init__(self, trusted: CheckedStream) -> None:
        self.trusted = trusted

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return self.trusted.encoding

    def write(self, text: str) -> int:
        """Write text, hidden characters as escapes."""
        self.trusted.write(visible(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered."""
        self.trusted.flush()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.trusted.fileno()


def run_guarded(command: Callable[[], Any]) -> NoReturn:
    """Run a command line on guarded streams, and end the process as it does.

    A reader that has seen enough, as `head -1` has, ends it quietly. Where standard output cannot
    be written to for another reason, a line on standard error says so. Both exit with 1.
    """
    try:
        stdout, stderr = _guard_streams()
        try:
            command()
        finally:
            stdout.flush()
            stderr.flush()
    except OutputError as error:
        _explain(error)
        sys.exit(RUN_FAILED)
    sys.exit()


def _guard_streams() -> tuple[VisibleStream, VisibleStream]:
    """Take the place of the process's standard output and error."""
    for descriptor in range(3):  # lest a file of ours becomes a stream that was closed
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    unseen = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - lives as the process does
    stdout = VisibleStream(CheckedStream(sys.stdout, "standard output"))
    stderr = VisibleStream(CheckedStream(unseen, "standard error"))
    sys.stdout, sys.stderr = stdout, stderr
    return stdout, stderr


def _explain(error: OutputError) -> None:
    """Say what failed, and let what is still buffered go nowhere."""
    if error.errno != errno.EPIPE:
        found = f"{error.filename}: found {error.strerror}; allowed: one that can be written to"
        with suppress(OSError):  # it is standard error that fails
            os.write(2, f"error: {found}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
