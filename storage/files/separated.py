"""Rows of CSV and TSV files that read back as they were, whatever their cells hold."""

import csv
from collections.abc import Iterable
from typing import Any, Literal, TextIO

Dialect = Literal["excel", "excel-tab"]

ID_SEPARATOR = "; "
"""Between several ids in one cell."""

_FORMULA = (*"=+-@\t\r\n", "＝", "＋", "－", "＠")


class RowWriter:
    r"""Writes rows; what must be quoted is.

    Before 3.11.9, Python's csv module leaves a bare `\r` unquoted, where readers end the row.

    Args:
        file: Opened with newline="".
        dialect: `excel` for CSV, `excel-tab` for TSV.
    """

    def __init__(self, file: TextIO, dialect: Dialect = "excel") -> None:
        self._plain = csv.writer(file, dialect, lineterminator="\n")
        self._quoting = csv.writer(file, dialect, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, cells: Iterable[Any]) -> None:
        """Write one row."""
        row = list(cells)
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (self._quoting if has_return else self._plain).writerow(row)


def without_formula(cell: Any) -> Any:
    """Return a cell with an apostrophe before it where a spreadsheet would compute its text."""
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULA)
    return f"'{cell}" if is_formula else cell
