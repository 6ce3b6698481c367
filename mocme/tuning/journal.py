"""What a tuning remembers: `studies.jsonl`, one JSON object a line, appended as things happen.

The format is Optuna's own; nothing in it can run code. One tuning works in a folder at a time, so
what a killed one left unfinished is known to be nobody's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mocme.tuning.space import TuningError
from storage.files.file_errors import write_errors
from storage.files.owned import check_own_file, check_started

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

_FILE = "studies.jsonl"
_START = b'{"op_code":'


@contextmanager
def journal(folder: Path) -> Iterator["JournalStorage"]:
    """Open a folder's journal, alone.

    Args:
        folder: The folder; made if absent.

    Raises:
        TuningError: If another tuning is at work in the folder.
        MocmeError: If something of the user's is there.
    """
    from optuna.storages import JournalStorage  # takes a while
    from optuna.storages.journal import JournalFileBackend

    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        check_own_file(folder / ".lock")
        check_own_file(folder / _FILE)
        check_started(folder, _FILE)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise TuningError(
            f"{folder}: found a tuning at work; allowed: one at a time, with --processes"
        ) from error
    try:
        _check(folder / _FILE)
        _mend(folder / _FILE)
        yield JournalStorage(JournalFileBackend(str(folder / _FILE)))
    finally:
        lock.release()


def _check(path: Path) -> None:
    """Refuse a file that Optuna has not written."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(_START))
    if start != _START[: len(start)]:
        raise TuningError(f"{path}: found another file; allowed: none, or what a tuning has left")


def _mend(path: Path) -> None:
    """Drop what a kill left: half a line at the end, and the lock of a write."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    whole = path.read_bytes().rpartition(b"\n")
    if whole[2]:
        with path.open("r+b") as file:
            file.truncate(len(whole[0]) + len(whole[1]))
