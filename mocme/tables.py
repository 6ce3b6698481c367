"""Tables for a terminal, and what stands in their cells."""

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from storage.words.visible import visible_line

MOST_WEIGHTS = 3
"""How many weights a cell of a table holds."""

_LEAST_WEIGHT = 0.005  # that two digits show


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; the first column holds names, the others hold numbers or words."""
    made = Table(title=visible_line(title), title_justify="left", title_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(visible_line(shown(cell)) for cell in row))
    return made


def shown(cell: object) -> str:
    """Return a cell's text; none for None."""
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def weights(by_modality: Mapping[str, float], most: int | None = None) -> str:
    """Return modalities with their weights in an answer, the heaviest first.

    Args:
        by_modality: Weights that sum to 1; what rounds to 0 is left out.
        most: How many are named; None = all.
    """
    heaviest = sorted(by_modality.items(), key=lambda item: -item[1])[:most]
    named = [f"{modality} {weight:.2f}" for modality, weight in heaviest if weight >= _LEAST_WEIGHT]
    return ", ".join(named)
