"""Tables of a report: what a figure shows, as rows; on the page, and as CSV."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

Cell = str | int | float | None
"""None: there is no such number."""

_FEWEST_FOR_DECIMALS, _MOST_FOR_DECIMALS = 0.0995, 1000.0
_NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first column names the row.

    Attributes:
        columns: Headings.
        rows: As many cells each.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def of(cls, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> "Table":
        """Make a table of any sequences."""
        return cls(tuple(columns), tuple(tuple(row) for row in rows))

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, so is set flush right; the first names the rows."""
        return column > 0 and not any(isinstance(row[column], str) for row in self.rows)

    def csv(self) -> str:
        """Return the table as CSV with a heading, numbers unrounded."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()


def as_text(cell: Cell) -> str:
    """Return a cell as a reader wants it: three decimals, or three digits of small numbers."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return _NOTHING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if cell == 0 or _FEWEST_FOR_DECIMALS <= abs(cell) < _MOST_FOR_DECIMALS:
        return f"{cell:.3f}"
    return f"{cell:,.0f}" if abs(cell) >= _MOST_FOR_DECIMALS else f"{cell:.3g}"
