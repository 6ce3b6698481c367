"""Predicted triples as files for other programs: CSV, TSV, JSON lines, Parquet, N-Triples.

They are written as they are found, so memory does not grow with their number, and a file takes its
place when it is whole.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flows.exporting.n_triples import lines_of
from storage.atomic import replacing
from storage.errors import MocmeError

if TYPE_CHECKING:
    from model.predictor import PredictedTriple

_ROWS_AT_ONCE = 10_000  # of a Parquet file's row groups


class PredictionFileError(MocmeError):
    """A file of predictions that cannot be written."""


def check_suffix(path: Path) -> None:
    """Refuse a file of no known kind.

    Raises:
        PredictionFileError: If the suffix is none of `.csv`, `.tsv`, `.jsonl`, `.parquet`, `.nt`.
    """
    if path.suffix not in _WRITERS:
        allowed = ", ".join(_WRITERS)
        raise PredictionFileError(f"{path}: found the suffix '{path.suffix}'; allowed: {allowed}")


def write_predictions(path: Path, triples: Iterable["PredictedTriple"]) -> int:
    """Write predicted triples with their evidence.

    Columns: `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`, and
    `weight_<modality>` for each modality. `.nt` is N-Triples: see `flows.exporting.n_triples`.

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
            return _WRITERS[path.suffix](temporary, iter(triples))
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise PredictionFileError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error


def _write_separated(path: Path, triples: Iterator["PredictedTriple"], dialect: str) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, dialect=dialect, lineterminator="\n")
        for row in (triple.row() for triple in triples):
            if num_rows == 0:
                writer.writerow(row)
            writer.writerow(row.values())
            num_rows += 1
    return num_rows


def _write_csv(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    return _write_separated(path, triples, "excel")


def _write_tsv(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    return _write_separated(path, triples, "excel-tab")


def _write_lines(path: Path, texts: Iterator[str]) -> int:
    """Write the lines of each triple, and return how many triples there were."""
    num_triples = 0
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(f"{text}\n")
            num_triples += 1
    return num_triples


def _write_json_lines(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    texts = (json.dumps(triple.row(), ensure_ascii=False) for triple in triples)
    return _write_lines(path, texts)


def _write_n_triples(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    return _write_lines(path, ("\n".join(lines) for lines in lines_of(triples)))


def _write_parquet(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    import pyarrow
    from pyarrow import parquet

    rows = (triple.row() for triple in triples)
    group = list(islice(rows, _ROWS_AT_ONCE))
    table, num_rows = pyarrow.Table.from_pylist(group), 0
    with parquet.ParquetWriter(path, table.schema) as writer:
        while group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=table.schema))
            num_rows += len(group)
            group = list(islice(rows, _ROWS_AT_ONCE))
    return num_rows


_WRITERS: Mapping[str, Callable[[Path, Iterator["PredictedTriple"]], int]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
    ".nt": _write_n_triples,
}
