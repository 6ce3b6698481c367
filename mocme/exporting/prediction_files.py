"""Predicted triples as files for other programs: CSV, TSV, JSON lines, Parquet, N-Triples.

They are written as they are found, so memory does not grow with their number, and a file takes its
place when it is whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.stages.predictions import PredictionFileError, TableRow, write_table
from mocme.exporting.n_triples import lines_of
from storage.atomic import replacing
from storage.datasets.graph import Graph
from storage.files.separated import Dialect
from storage.words.visible import json_text

if TYPE_CHECKING:
    from model.prediction.answers import NumberedAnswer, PredictedTriple

_TEXTS = {
    "head",
    "head_name",
    "relation",
    "tail",
    "tail_name",
    "nearest_head",
    "nearest_tail",
    "rule",
    "entity",
    "name",
    "contradicts",
    "known_answers",
}
_OTHER_KINDS = {"question": "int64", "known": "bool_"}
_ROWS_AT_ONCE = 10_000  # of a Parquet file's row groups


def check_suffix(path: Path) -> None:
    """Refuse a file of a kind that holds no predicted triples, neither for programs nor for people.

    Raises:
        PredictionFileError: If the suffix is none of `.csv`, `.tsv`, `.jsonl`, `.parquet`, `.nt`,
            `.html`.
    """
    _check_suffix(path, (*_SUFFIXES, PAGE_SUFFIX))


def _check_suffix(path: Path, allowed: Sequence[str]) -> None:
    if path.suffix not in allowed:
        raise PredictionFileError(
            f"{path}: found the suffix '{path.suffix}'; allowed: {', '.join(allowed)}"
        )


def write_predictions(
    path: Path,
    triples: Iterable["PredictedTriple"],
    graph: Graph | None = None,
    *,
    columns: Sequence[str] = (),
    for_spreadsheet: bool = False,
    asserts: bool = False,
) -> int:
    """Write predicted triples with their evidence.

    Columns: `head`, `head_name`, `relation`, `tail`, `tail_name`, `probability`, `known_answers`
    (ids of other tails that the head is known to have, with `; ` between), of the training fact
    that is most like the triple `nearest_head`, `nearest_tail`, `similarity` (empty if the
    relation has none), of the most confident rule that leads to it `rule` and `rule_confidence`
    (empty if none does), `weight_<modality>` for each modality, and
    `expert_weight_<modality>_<number>` where a modality has several experts. `.nt` is N-Triples:
    see `mocme.exporting.n_triples`.

    Args:
        path: The file; its suffix says what it is.
        triples: What to write.
        graph: Whose ids the triples have: in N-Triples, two of them are never one IRI.
        columns: What the columns are called where there is no triple: `Predictor.triple_columns`.
        for_spreadsheet: Whether text that a spreadsheet would compute gets an apostrophe before it,
            in a `.csv` or `.tsv` file; it does not read back as it was.
        asserts: Whether N-Triples state each triple as a fact, beside the statement about it.

    Returns:
        How many there were.

    Raises:
        PredictionFileError: If the suffix is not known, a library is absent, or the file cannot be
            written.
    """
    _check_suffix(path, _SUFFIXES)
    if path.suffix == ".nt":
        refuse_for_spreadsheet(path, for_spreadsheet)
        with written(path) as temporary:
            return _write_n_triples(temporary, triples, graph, asserts=asserts)
    return _write(path, triples, columns, for_spreadsheet=for_spreadsheet)


def write_answers(
    path: Path,
    answers: Iterable["NumberedAnswer"],
    *,
    columns: Sequence[str] = (),
    for_spreadsheet: bool = False,
) -> int:
    """Write answers to several questions with their evidence.

    Columns: `question`, the number that each answer has, `entity`, `name`, `probability`, `known`,
    `contradicts` (known triples that cannot hold beside it), `known_answers` (to the same
    question), and of the triple that it makes those that `write_predictions` writes.

    Args:
        path: The file; its suffix says what it is. N-Triples have no place for questions.
        answers: What to write.
        columns: What the columns are called where there is no answer: `numbered` ones of
            `Predictor.answer_columns`.
        for_spreadsheet: As in `write_predictions`.

    Returns:
        How many there were.

    Raises:
        PredictionFileError: As `write_predictions`.
    """
    check_answers_suffix(path)
    return _write(path, answers, columns, for_spreadsheet=for_spreadsheet)


def check_answers_suffix(path: Path) -> None:
    """Refuse a file of a kind that holds no answers.

    Raises:
        PredictionFileError: If the suffix is none of `.csv`, `.tsv`, `.jsonl`, `.parquet`.
    """
    _check_suffix(path, (*_DIALECTS, *_WRITERS))


def _write(
    path: Path, rows: Iterable[TableRow], columns: Sequence[str], *, for_spreadsheet: bool
) -> int:
    """Write rows to a file of any kind but N-Triples; without rows, the columns' names alone."""
    if path.suffix not in _DIALECTS:
        refuse_for_spreadsheet(path, for_spreadsheet)
        with written(path) as temporary:
            return _WRITERS[path.suffix](temporary, iter(rows), columns)
    dialect = _DIALECTS[path.suffix]
    with written(path) as temporary:
        return write_table(
            temporary, rows, dialect, columns=columns, for_spreadsheet=for_spreadsheet
        )


def refuse_for_spreadsheet(path: Path, for_spreadsheet: bool) -> None:
    """Refuse what is wanted of a file for spreadsheets of a file of another kind.

    Raises:
        PredictionFileError: If it is wanted.
    """
    if for_spreadsheet:
        raise PredictionFileError(
            f"{path}: found the suffix '{path.suffix}' of a file for spreadsheets; "
            f"allowed: {', '.join(_DIALECTS)}"
        )


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield where to write; the file takes its place when it is whole.

    Raises:
        PredictionFileError: If a library is absent or the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except ImportError as error:
        raise PredictionFileError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise PredictionFileError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error


def _write_lines(path: Path, texts: Iterator[str]) -> int:
    """Write the lines of each triple, and return how many triples there were."""
    num_triples = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text in texts:
            file.write(f"{text}\n")
            num_triples += 1
    return num_triples


def _write_json_lines(path: Path, triples: Iterator[TableRow], _: Sequence[str]) -> int:
    return _write_lines(path, (json_text(triple.row()) for triple in triples))


def _write_n_triples(
    path: Path, triples: Iterable["PredictedTriple"], graph: Graph | None, *, asserts: bool
) -> int:
    entities, relations = (graph.entities, graph.relations) if graph is not None else ((), ())
    found = lines_of(triples, frozenset(entities), frozenset(relations), asserts=asserts)
    return _write_lines(path, ("\n".join(lines) for lines in found))


def _write_parquet(path: Path, triples: Iterator[TableRow], columns: Sequence[str]) -> int:
    import pyarrow
    from pyarrow import parquet

    rows = (triple.row() for triple in triples)
    group = list(islice(rows, _ROWS_AT_ONCE))
    names = group[0] if group else columns
    schema, num_rows = pyarrow.schema([(name, _kind_of(name)) for name in names]), 0
    with parquet.ParquetWriter(path, schema) as writer:
        while group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            num_rows += len(group)
            group = list(islice(rows, _ROWS_AT_ONCE))
    return num_rows


def _kind_of(column: str) -> Any:
    """Return the type of a Parquet file's column."""
    import pyarrow

    kind = "string" if column in _TEXTS else _OTHER_KINDS.get(column, "float64")
    return getattr(pyarrow, kind)()


_DIALECTS: Mapping[str, Dialect] = {".csv": "excel", ".tsv": "excel-tab"}
_WRITERS: Mapping[str, Callable[[Path, Iterator[TableRow], Sequence[str]], int]] = {
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
PAGE_SUFFIX = ".html"
"""Of a page for people; see `mocme.report.answers_page`."""
_SUFFIXES = (*_DIALECTS, *_WRITERS, ".nt")
