"""Files of questions: JSON lines, CSV or TSV with the fields head, relation, tail.

Exactly one of head and tail is given; without a relation, all are asked for that are to be
expected. Everything that is wrong with a file is found before anything is answered.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import DatasetError, MocmeError
from storage.files.file_access import open_regular
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted

if TYPE_CHECKING:
    from model.prediction.questions import Question, QuestionFinder

FIELDS = ("head", "relation", "tail")
_FIELDS_ALLOWED = ", ".join(FIELDS)
_FILE_ALLOWED = "questions in .jsonl, .csv or .tsv, with the fields head, relation, tail"
_MOST_NAMED = 10  # bad lines that a message names
_LONGEST_CELL = 2**31 - 1  # characters; the csv module by itself reads 131,072


class QuestionFileError(MocmeError):
    """A file of questions with something wrong in it; a line of the message for each thing."""


@dataclass(frozen=True)
class LineOfQuestion:
    """A question and where it stands.

    Attributes:
        line: Its first line in the file, from 1.
        question: The question.
    """

    line: int
    question: "Question"


@dataclass(frozen=True)
class _Problem:
    """What is wrong with a line; words are looked for only where they are shown."""

    line: int
    message: Callable[[], str]


@dataclass(frozen=True)
class _Row:
    """What a line holds: fields that are given, by name."""

    line: int
    fields: Mapping[str, str]


def check_question_suffix(path: Path) -> None:
    """Refuse a file of no known kind.

    Raises:
        QuestionFileError: If the suffix is none of `.jsonl`, `.csv`, `.tsv`.
    """
    if path.suffix not in _READERS:
        raise QuestionFileError(
            f"{path}: found the suffix '{path.suffix}'; allowed: {', '.join(_READERS)}"
        )


def read_questions(
    path: Path, finder: "QuestionFinder", explain: Callable[[MocmeError], str] = str
) -> list[LineOfQuestion]:
    """Read a file of questions about a graph.

    Args:
        path: A `.jsonl`, `.csv` or `.tsv` file.
        finder: Says which entities and relations there are.
        explain: Words the error of a name that the graph does not have.

    Raises:
        DatasetError: If the file cannot be read or holds no question.
        QuestionFileError: If a line is no question about the graph; the first ten are named.
    """
    from model.prediction.questions import Question  # imports torch

    check_question_suffix(path)
    problems, found = [], []
    for row in _READERS[path.suffix](path, _text_of(path)):
        problem = row if isinstance(row, _Problem) else _problem_of(path, row, finder, explain)
        if problem is not None:
            problems.append(problem)
        elif isinstance(row, _Row):
            question = Question(*(row.fields.get(field) for field in FIELDS))
            found.append(LineOfQuestion(row.line, question))
    if problems:
        raise _error_of(path, problems)
    if not found:
        raise DatasetError(path, found="no question", allowed=f"at least one, {_FILE_ALLOWED}")
    return found


def _error_of(path: Path, problems: Sequence[_Problem]) -> QuestionFileError:
    named = [problem.message() for problem in problems[:_MOST_NAMED]]
    if len(problems) > len(named):
        count = (
            f"{path}: found {len(problems)} bad lines, of which the first {len(named)} are named"
        )
        named.append(f"{count}; allowed: {_FILE_ALLOWED}")
    return QuestionFileError("\n".join(named))


def _text_of(path: Path) -> str:
    """Return a file's text, without a byte order mark."""
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        found = (error.strerror or "an unreadable file").lower()
        raise DatasetError(path, found=found, allowed=_FILE_ALLOWED) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        found = f"the byte 0x{error.object[error.start]:02x}, not UTF-8"
        raise DatasetError(path, line=line, found=found, allowed="text in UTF-8") from error


def _problem_at(
    path: Path, line: int, found: str, allowed: str, field: str | None = None
) -> _Problem:
    error = DatasetError(path, line=line, field=field, found=found, allowed=allowed)
    return _Problem(line, partial(str, error))


def _problem_of(
    path: Path, row: _Row, finder: "QuestionFinder", explain: Callable[[MocmeError], str]
) -> _Problem | None:
    """Return what keeps a row from being a question about the graph; None if nothing does."""
    sides = [field for field in ("head", "tail") if field in row.fields]
    if len(sides) != 1:
        found = "both head and tail" if sides else "neither head nor tail"
        return _problem_at(path, row.line, found, "exactly one of them")
    for field, name in row.fields.items():
        if not finder.is_known(name, field):
            place = f"{path}, line {row.line}, field '{field}'"
            return _Problem(row.line, partial(_unknown, place, field, name, finder, explain))
    return None


def _unknown(
    place: str,
    field: str,
    name: str,
    finder: "QuestionFinder",
    explain: Callable[[MocmeError], str],
) -> str:
    """Return what is to be said of a name that the graph does not have."""
    try:
        finder.relation(name) if field == "relation" else finder.entity(name, field)
    except MocmeError as error:
        return f"{place}: {explain(error).removeprefix(f'{field}: ')}"
    raise AssertionError(name)


def _rows_of_json(path: Path, text: str) -> Iterator[_Row | _Problem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _row_of_json(path, number, line)


def _row_of_json(path: Path, number: int, line: str) -> _Row | _Problem:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _problem_at(path, number, f"{quoted(line.strip())}, not JSON", "one object a line")
    if not isinstance(value, dict):
        return _problem_at(path, number, f"the value {quoted(line.strip())}", "one object a line")
    for field, cell in value.items():
        if field not in FIELDS:
            return _problem_at(path, number, f"the field {_named(field)}", _FIELDS_ALLOWED)
        if not (cell is None or isinstance(cell, str)):
            found = f"the value {quoted(json.dumps(cell))}"
            return _problem_at(path, number, found, "an id or name, as a string", field)
    return _Row(number, _given(value))


def _rows_of_table(dialect: str, path: Path, text: str) -> Iterator[_Row | _Problem]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), dialect, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if any(cells) and columns is None:
                columns = _checked_columns(path, line, cells)
            elif any(cells) and columns is not None:
                yield _row_of_table(path, line, columns, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield _problem_at(path, line, f"a row that cannot be read ({error})", _FILE_ALLOWED)


def _row_of_table(
    path: Path, line: int, columns: Sequence[str], cells: Sequence[str]
) -> _Row | _Problem:
    if len(cells) > len(columns):
        allowed = f"{len(columns)}, as in the first row; a cell that holds a separator in quotes"
        return _problem_at(path, line, f"{len(cells)} cells", allowed)
    return _Row(line, _given(dict(zip(columns, cells, strict=False))))


def _checked_columns(path: Path, line: int, cells: list[str]) -> list[str]:
    """Return the names in a table's first row.

    Raises:
        DatasetError: If one is none of the fields, or stands there twice, or head and tail lack.
    """
    for place, name in enumerate(cells):
        if name not in FIELDS:
            found = f"the column {_named(name)}"
            raise DatasetError(path, line=line, found=found, allowed=_FIELDS_ALLOWED)
        if name in cells[:place]:
            found = f"the column '{name}' twice"
            raise DatasetError(path, line=line, found=found, allowed=_FIELDS_ALLOWED)
    if not {"head", "tail"} & set(cells):
        found, allowed = "neither a column 'head' nor 'tail'", _FIELDS_ALLOWED
        raise DatasetError(path, line=line, found=found, allowed=allowed)
    return cells


def _named(field: str) -> str:
    return f"{quoted(field)}{did_you_mean(field, FIELDS)}"


def _given(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what is neither empty nor absent."""
    return {field: value for field, value in fields.items() if value}


_READERS: Mapping[str, Callable[[Path, str], Iterator[_Row | _Problem]]] = {
    ".jsonl": _rows_of_json,
    ".csv": partial(_rows_of_table, "excel"),
    ".tsv": partial(_rows_of_table, "excel-tab"),
}
