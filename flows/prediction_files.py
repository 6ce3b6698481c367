"""Predicted triples as files for other programs: CSV, TSV, JSON lines, Parquet.

They are written as they are found, so memory does not grow with their number, and a file takes its
place when it is whole.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.atomic import replacing
from storage.errors import MocmeError

if TYPE_CHECKING:
    from model.predictor import PredictedTriple

_ROWS_AT_ONCE = 10_000  # of a Parquet file's row groups

Row = Mapping[str, Any]


class PredictionFileError(MocmeError):
    """A file of predictions that cannot be written."""


def check_suffix(path: Path) -> None:
    """Refuse a file of no known kind.

    Raises:
        PredictionFileError: If the suffix is none of `.csv`, `.tsv`, `.jsonl`, `.parquet`.
    """
    if path.suffix not in _WRITERS:
        allowed = ", ".join(_WRITERS)
        raise PredictionFileError(f"{path}: found the suffix '{path.suffix}'; allowed: {allowed}")


def write_predictions(path: Path, triples: Iterable["PredictedTriple"]) -> int:
    """Write predicted triples with their evidence.

    Columns: `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`, and
    `weight_<modality>` for each modality.

    Args:
        path: The file; its suffix says what it is.
        triples: What to write.

    Returns:
        How many there were.

    Raises:
        PredictionFileError: If the suffix is not known, a library is absent, or the file cannot be
            written.
    """
    check_suffix(path)
    try:
        with replacing(path) as temporary:
            return _WRITERS[path.suffix](temporary, (triple.row() for triple in triples))
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise PredictionFileError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error


def _write_separated(path: Path, rows: Iterator[Row], dialect: str) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, dialect=dialect, lineterminator="\n")
        for row in rows:
            if num_rows == 0:
                writer.writerow(row)
            writer.writerow(row.values())
            num_rows += 1
    return num_rows


def _write_csv(path: Path, rows: Iterator[Row]) -> int:
    return _write_separated(path, rows, "excel")


def _write_tsv(path: Path, rows: Iterator[Row]) -> int:
    return _write_separated(path, rows, "excel-tab")


def _write_json_lines(path: Path, rows: Iterator[Row]) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            num_rows += 1
    return num_rows


def _write_parquet(path: Path, rows: Iterator[Row]) -> int:
    import pyarrow
    from pyarrow import parquet

    group = list(islice(rows, _ROWS_AT_ONCE))
    table, num_rows = pyarrow.Table.from_pylist(group), 0
    with parquet.ParquetWriter(path, table.schema) as writer:
        while group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=table.schema))
            num_rows += len(group)
            group = list(islice(rows, _ROWS_AT_ONCE))
    return num_rows


_WRITERS: Mapping[str, Callable[[Path, Iterator[Row]], int]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
