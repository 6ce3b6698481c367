"""Errors that a user can mend; the command line prints them and exits with code 2."""

from collections.abc import Sequence
from pathlib import Path


class MocmeError(Exception):
    """Base of every error that is the input's fault and not the program's.

    The message names what was found, where, and what is allowed.
    """


class DatasetError(MocmeError):
    """A dataset that cannot be read as it is written.

    Args:
        file: The file at fault.
        found: What stands there.
        allowed: What may stand there instead.
        line: Line number in the file, counted from 1.
        field: Field of the line's object, or column.
    """

    def __init__(
        self,
        file: Path,
        *,
        found: str,
        allowed: str,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        """Compose the one-line message."""
        place = str(file) if line is None else f"{file}, line {line}"
        if field is not None:
            place += f", field '{field}'"
        super().__init__(f"{place}: found {found}; allowed: {allowed}")


class WriteError(MocmeError, OSError):
    """A file that cannot be written; what stood there before is kept.

    It is an `OSError`, too, with errno, strerror and filename.
    """

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written, what stood there is kept: {self.strerror}"


class StoreError(MocmeError):
    """A feature store that cannot be opened, read or written as asked."""


class DamagedStoreError(StoreError):
    """A feature store whose bytes were read and are wrong.

    Args:
        message: What is wrong.
        problems: All that is, where the message names the first.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)
