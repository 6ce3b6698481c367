"""Predicted triples as a table, which the stage `predict` leaves and a report reads."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from storage.errors import MocmeError
from storage.files.separated import ID_SEPARATOR, Dialect, RowWriter, without_formula

_WEIGHT = "weight_"  # begins the names of the modalities' columns
_LONGEST_CELL = 2**31 - 1  # characters; the csv module by itself reads 131,072


class TableRow(Protocol):
    """A predicted triple or an answer: what is a row of a table."""

    def row(self) -> dict[str, Any]:
        """The cells by the columns' names; the same names for all rows of a table."""


class PredictionFileError(MocmeError):
    """A file of predictions that cannot be written or read."""


@dataclass(frozen=True)
class Prediction:
    """A predicted triple as it is read back.

    Attributes:
        head: Entity id.
        relation: Relation id.
        tail: Entity id.
        probability: The model's belief.
        nearest: Head and tail of the training fact that is most like it, and how much it is; None
            if there is none.
        rule: Relations that lead from head to tail, and the rule's confidence; None if none leads.
        weights: Share of every modality in the score.
        known_answers: Ids of other tails that the head is known to have, some if there are many.
    """

    head: str
    relation: str
    tail: str
    probability: float
    nearest: tuple[str, str, float] | None
    rule: tuple[str, float] | None
    weights: dict[str, float]
    known_answers: tuple[str, ...] = ()


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_table` wrote to a `.tsv` file, also without rules or known answers.

    Raises:
        PredictionFileError: If a line is not as it wrote it.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, dialect="excel-tab", strict=True)
        try:
            return [_parse(row) for row in rows]
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise PredictionFileError(
                f"{path}: found a damaged line, {rows.line_num} ({error!r}); allowed: the file as "
                "`mocme predict` wrote it"
            ) from error


def _parse(row: Mapping[str, str]) -> Prediction:
    nearest = row["nearest_head"], row["nearest_tail"]
    return Prediction(
        row["head"],
        row["relation"],
        row["tail"],
        float(row["probability"]),
        (*nearest, float(row["similarity"])) if row["similarity"] else None,
        (row["rule"], float(row["rule_confidence"])) if row.get("rule") else None,
        {
            name.removeprefix(_WEIGHT): float(cell)
            for name, cell in row.items()
            if name.startswith(_WEIGHT)
        },
        tuple(known.split(ID_SEPARATOR)) if (known := row.get("known_answers")) else (),
    )


def write_table(
    path: Path,
    triples: Iterable[TableRow],
    dialect: Dialect = "excel-tab",
    *,
    columns: Sequence[str] = (),
    for_spreadsheet: bool = False,
) -> int:
    """Write a row for each triple below a row of names; see `PredictedTriple.row`.

    Args:
        path: The file.
        triples: What to write.
        dialect: `excel` for CSV, `excel-tab` for TSV.
        columns: The names of the columns where there is no triple to take them from.
        for_spreadsheet: Whether text that a spreadsheet would compute gets an apostrophe before it;
            it does not read back as it was.

    Returns:
        How many there were.
    """
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = RowWriter(file, dialect)
        for row in (triple.row() for triple in triples):
            if num_rows == 0:
                writer.write(row)
            cells = row.values()
            writer.write(map(without_formula, cells) if for_spreadsheet else cells)
            num_rows += 1
        if num_rows == 0 and columns:
            writer.write(columns)
    return num_rows
