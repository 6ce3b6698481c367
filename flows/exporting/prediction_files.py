"""Predicted triples as files for other programs: CSV, TSV, JSON lines, Parquet, N-Triples.

They are written as they are found, so memory does not grow with their number, and a file takes its
place when it is whole.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flows.exporting.n_triples import lines_of
from flows.exporting.separated import Dialect, RowWriter, without_formula
from storage.atomic import replacing
from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.words.visible import json_text

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

_TEXTS = {
    "head",
    "head_name",
    "relation",
    "tail",
    "tail_name",
    "nearest_head",
    "nearest_tail",
    "rule",
}
_WEIGHT = "weight_"  # begins the names of the modalities' columns
_LONGEST_CELL = 2**31 - 1  # characters; the csv module by itself reads 131,072
_ROWS_AT_ONCE = 10_000  # of a Parquet file's row groups


class PredictionFileError(MocmeError):
    """A file of predictions that cannot be written."""


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
    """

    head: str
    relation: str
    tail: str
    probability: float
    nearest: tuple[str, str, float] | None
    rule: tuple[str, float] | None
    weights: dict[str, float]


def check_suffix(path: Path) -> None:
    """Refuse a file of no known kind.

    Raises:
        PredictionFileError: If the suffix is none of `.csv`, `.tsv`, `.jsonl`, `.parquet`, `.nt`.
    """
    if path.suffix not in _SUFFIXES:
        allowed = ", ".join(_SUFFIXES)
        raise PredictionFileError(f"{path}: found the suffix '{path.suffix}'; allowed: {allowed}")


def write_predictions(
    path: Path,
    triples: Iterable["PredictedTriple"],
    graph: Graph | None = None,
    *,
    for_spreadsheet: bool = False,
) -> int:
    """Write predicted triples with their evidence.

    Columns: `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`, of the training
    fact that is most like the triple `nearest_head`, `nearest_tail`, `similarity` (empty if the
    relation has none), of the most confident rule that leads to it `rule` and `rule_confidence`
    (empty if none does), `weight_<modality>` for each modality, and
    `expert_weight_<modality>_<number>` where a modality has several experts. `.nt` is N-Triples:
    see `flows.exporting.n_triples`.

    Args:
        path: The file; its suffix says what it is.
        triples: What to write.
        graph: Whose ids the triples have: in N-Triples, two of them are never one IRI.
        for_spreadsheet: Whether text that a spreadsheet would compute gets an apostrophe before it,
            in a `.csv` or `.tsv` file; it does not read back as it was.

    Returns:
        How many there were.

    Raises:
        PredictionFileError: If the suffix is not known, a library is absent, or the file cannot be
            written.
    """
    check_suffix(path)
    if for_spreadsheet and path.suffix not in _DIALECTS:
        raise PredictionFileError(
            f"{path}: found the suffix '{path.suffix}' of a file for spreadsheets; "
            f"allowed: {', '.join(_DIALECTS)}"
        )
    try:
        with replacing(path) as temporary:
            if path.suffix in _DIALECTS:
                dialect = _DIALECTS[path.suffix]
                return _write_separated(temporary, iter(triples), dialect, for_spreadsheet)
            if path.suffix == ".nt":
                return _write_n_triples(temporary, iter(triples), graph)
            return _WRITERS[path.suffix](temporary, iter(triples))
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise PredictionFileError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_predictions` wrote to a `.tsv` file, before there were rules, too.

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
    )


def _write_separated(
    path: Path, triples: Iterator["PredictedTriple"], dialect: Dialect, for_spreadsheet: bool
) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = RowWriter(file, dialect)
        for row in (triple.row() for triple in triples):
            if num_rows == 0:
                writer.write(row)
            cells = row.values()
            writer.write(map(without_formula, cells) if for_spreadsheet else cells)
            num_rows += 1
    return num_rows


def _write_lines(path: Path, texts: Iterator[str]) -> int:
    """Write the lines of each triple, and return how many triples there were."""
    num_triples = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text in texts:
            file.write(f"{text}\n")
            num_triples += 1
    return num_triples


def _write_json_lines(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    return _write_lines(path, (json_text(triple.row()) for triple in triples))


def _write_n_triples(path: Path, triples: Iterator["PredictedTriple"], graph: Graph | None) -> int:
    entities, relations = (graph.entities, graph.relations) if graph is not None else ((), ())
    found = lines_of(triples, frozenset(entities), frozenset(relations))
    return _write_lines(path, ("\n".join(lines) for lines in found))


def _write_parquet(path: Path, triples: Iterator["PredictedTriple"]) -> int:
    import pyarrow
    from pyarrow import parquet

    rows = (triple.row() for triple in triples)
    group = list(islice(rows, _ROWS_AT_ONCE))
    kinds = {True: pyarrow.string(), False: pyarrow.float64()}
    names = group[0] if group else ()
    schema, num_rows = pyarrow.schema([(name, kinds[name in _TEXTS]) for name in names]), 0
    with parquet.ParquetWriter(path, schema) as writer:
        while group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            num_rows += len(group)
            group = list(islice(rows, _ROWS_AT_ONCE))
    return num_rows


_DIALECTS: Mapping[str, Dialect] = {".csv": "excel", ".tsv": "excel-tab"}
_WRITERS: Mapping[str, Callable[[Path, Iterator["PredictedTriple"]], int]] = {
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
_SUFFIXES = (*_DIALECTS, *_WRITERS, ".nt")
