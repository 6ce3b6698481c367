"""What the command line prints: results on standard output, all else on standard error."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH_OF_A_FILE = 140  # columns, where no terminal says how many it has


def _console(stream: TextIO, *, stderr: bool) -> Console:
    knows_width = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, width=None if knows_width else _WIDTH_OF_A_FILE)


STDOUT = _console(sys.stdout, stderr=False)
STDERR = _console(sys.stderr, stderr=True)


def print_line(line: str) -> None:
    """Print a line on standard output as it is, however long, brackets and all."""
    STDOUT.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON object on standard output, for scripts."""
    print_line(json.dumps(value, ensure_ascii=False))


def print_error(message: str) -> None:
    """Print an error, each of its lines as it is."""
    for line in message.splitlines():
        STDERR.print(f"error: {line}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_warning(message: str) -> None:
    """Print what does not stop a command, as it is."""
    STDERR.print(
        f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; the first column holds names, the others hold numbers or words."""
    made = Table(title=escape(title), title_justify="left", title_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(escape(shown(cell)) for cell in row))
    return made


def shown(cell: object) -> str:
    """Return a cell's text; none for None."""
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def weights(by_modality: Mapping[str, float]) -> str:
    """Return each modality's weight in an answer, the heaviest first."""
    heaviest = sorted(by_modality.items(), key=lambda item: -item[1])
    return ", ".join(f"{modality} {weight:.2f}" for modality, weight in heaviest)
