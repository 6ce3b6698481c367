"""What stands where a file is to be written: an older one of the same kind, or somebody else's."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.files.owned import ForeignFileError

_OF_TRIPLE = ["head", "head_name", "relation", "tail", "tail_name"]
_FIRST_COLUMNS = (
    [*_OF_TRIPLE, "probability"],  # of predicted triples
    ["question", "entity", "name", "probability", "known"],  # of answers
)
PAGE_MARK = "<!-- predicted triples, written by mocme -->"
"""Second line of a page of predicted triples."""
_LONGEST_LINE = 1 << 20  # characters


def require_predictions(path: Path) -> None:
    """Refuse a file that begins as neither predictions nor answers do; none, or empty: fine.

    Args:
        path: The file; its suffix says what it is to hold.

    Raises:
        ForeignFileError: If another file, or none that can be read, stands there.
    """
    _require(path, _holds_predictions, "mocme predict")


def require_own_text(path: Path, first_line: str) -> None:
    """Refuse a file that does not begin with a line; none and an empty one are fine.

    Args:
        path: The file.
        first_line: The line, without its end.

    Raises:
        ForeignFileError: If another file, or none that can be read, stands there.
    """
    _require(path, lambda it: _first_line(it) == first_line, "this command")


def _require(path: Path, is_own: Callable[[Path], bool], writer: str) -> None:
    """Refuse a file that is there, is not empty and is not one's own."""
    if not os.path.lexists(path):
        return
    try:
        may_be_replaced = path.is_file() and (path.stat().st_size == 0 or is_own(path))
    except ImportError:
        return  # the writer needs the same library, and says so
    except (OSError, ValueError, csv.Error):
        may_be_replaced = False
    if not may_be_replaced:
        raise ForeignFileError(
            f"{path}: found another file; allowed: another name, or a file that {writer} has "
            "written, which is replaced"
        )


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.readline(_LONGEST_LINE).removesuffix("\n")


def _holds_predictions(path: Path) -> bool:
    if path.suffix == ".parquet":
        columns = _columns_of_parquet(path)
        return not columns or _begins_as_written(columns)
    with path.open(encoding="utf-8", newline="") as file:
        first, second = file.readline(_LONGEST_LINE), file.readline(_LONGEST_LINE)
    if path.suffix == ".html":
        return second == f"{PAGE_MARK}\n"
    if path.suffix == ".nt":
        # The triple itself stands before its statement in a file that asserts it.
        return any(it.startswith("_:t0 ") and "#Statement>" in it for it in (first, second))
    return _begins_as_written(_columns(first, path.suffix))


def _begins_as_written(columns: Sequence[str]) -> bool:
    return any(list(columns[: len(first)]) == first for first in _FIRST_COLUMNS)


def _columns(line: str, suffix: str) -> Sequence[str]:
    """Return the names in a header, or in a line of JSON."""
    if suffix == ".jsonl":
        row = json.loads(line)
        return list(row) if isinstance(row, dict) else []
    return next(csv.reader([line], "excel-tab" if suffix == ".tsv" else "excel"), [])


def _columns_of_parquet(path: Path) -> Sequence[str]:
    from pyarrow import parquet

    names: list[str] = parquet.read_schema(path).names
    return names
