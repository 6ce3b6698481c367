"""Tables for a terminal, and what stands in their cells."""

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from storage.words.visible import visible_line


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


def weights(by_modality: Mapping[str, float]) -> str:
    """Return each modality's weight in an answer, the heaviest first."""
    heaviest = sorted(by_modality.items(), key=lambda item: -item[1])
    return ", ".join(f"{modality} {weight:.2f}" for modality, weight in heaviest)
