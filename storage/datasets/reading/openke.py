"""The OpenKE form, in which the field publishes its graphs.

`entity2id.txt` and `relation2id.txt`: a count, then rows of a name and an index, separated by a
tab or a space; the name may itself hold spaces; the indices run from 0 to count - 1 in any order.
`train2id.txt`, `valid2id.txt` and `test2id.txt`: a count, then rows of head, **tail**, relation.
Beside them, as in a dataset folder, `negatives.tsv` (by name) and `*.jsonl` files that add fields.
Source: github.com/thunlp/OpenKE, benchmarks.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from storage.datasets.graph import SPLITS, Graph, Split, Triples
from storage.datasets.items import Entity
from storage.datasets.reading.further import FurtherFiles, kinds_of_entities, with_further_fields
from storage.datasets.reading.lines import numbered_lines
from storage.datasets.reading.negatives import NEGATIVES_FILE, read_negatives, write_negatives
from storage.datasets.reading.unknown import UnknownNames
from storage.errors import DatasetError
from storage.words.visible import quoted

ENTITIES_FILE = "entity2id.txt"
RELATIONS_FILE = "relation2id.txt"
FILES = (ENTITIES_FILE, RELATIONS_FILE, *(f"{split}2id.txt" for split in SPLITS), NEGATIVES_FILE)
"""Names of the files that are read, further ones apart."""

_COUNT_ALLOWED = "the number of rows that follow"
_NAME_ALLOWED = "a name and its index, separated by a tab or a space"
_TRIPLE_ALLOWED = "three indices: head, tail, relation"

# Not `str.split`: a name may end in white space of another kind, such as U+00A0.
_NAME_AND_INDEX = re.compile(r"(.*[^ \t])[ \t]+([^ \t]+)[ \t]*", re.DOTALL)
# A title behind /resource/ may hold slashes (HIV/AIDS); other URIs end in the name.
_URI_NAMESPACE = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/]+/resource/|.*[/#](?=.))", re.IGNORECASE)


def read(root: Path) -> tuple[tuple[Entity, ...], Graph, FurtherFiles]:
    """Read entities and graph of an OpenKE folder, and which further files add fields.

    Args:
        root: The folder.

    Raises:
        DatasetError: If a file is missing, empty or not as described above.
        UnknownNamesError: If files name entities or relations that are not listed; all of them.
    """
    listed = tuple(
        Entity(name, readable_name(name), {}, line)
        for name, line in read_names(root / ENTITIES_FILE, inside=root)
    )
    relations = tuple(name for name, _ in read_names(root / RELATIONS_FILE, inside=root))
    unknown = UnknownNames()
    unnamed = set(range(len(listed)))  # what is readable in an id is no name that anybody gave
    entities, further = with_further_fields(root, listed, unnamed, ENTITIES_FILE, unknown)
    train, valid, test = (
        _read_triples(_triples_file(root, split), len(entities), len(relations)) for split in SPLITS
    )
    ids = tuple(entity.id for entity in entities)
    rows, indices = ({name: row for row, name in enumerate(it)} for it in (ids, relations))
    negatives = read_negatives(root, rows, indices, ENTITIES_FILE, unknown)
    unknown.raise_if_any({"entity": rows, "relation": indices}, root)
    names, kinds = tuple(entity.name for entity in entities), kinds_of_entities(entities)
    return entities, Graph(ids, names, relations, train, valid, test, negatives, kinds), further


def write_splits(root: Path, graph: Graph) -> None:
    """Write the graph's splits and negatives into an OpenKE folder, beside its two files of names.

    Args:
        root: The folder.
        graph: The graph.
    """
    for split in SPLITS:
        triples = graph.split(split)
        with _triples_file(root, split).open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{len(triples)}\n")
            file.writelines(
                f"{head} {tail} {relation}\n" for head, relation, tail in triples.tolist()
            )
    write_negatives(root, graph)


def readable_name(name: str) -> str:
    """Return what a person calls an entity whose id may be a URI.

    The part behind the namespace, %-decoded, underscores read as spaces:
    `<http://dbpedia.org/resource/HIV/AIDS>` is `HIV/AIDS`.
    """
    bare = name[1:-1] if name.startswith("<") and name.endswith(">") else name
    local = _URI_NAMESPACE.sub("", bare)
    return unquote(local).replace("_", " ").strip() or name


def _triples_file(root: Path, split: Split) -> Path:
    return root / f"{split}2id.txt"


def _read_rows(file: Path, allowed: str, inside: Path | None) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each row after the count, and check the count."""
    lines = numbered_lines(file, f"{_COUNT_ALLOWED}, then rows of {allowed}", inside)
    number, count = next(lines, (1, ""))
    count = count.strip()
    if not _is_index(count):
        found = quoted(count) if count else "nothing"
        raise DatasetError(file, line=number, found=found, allowed=_COUNT_ALLOWED)
    if int(count) == 0:
        raise DatasetError(file, line=number, found="a count of 0", allowed="at least one row")
    num_rows = 0
    for row in lines:
        num_rows += 1
        yield row
    if num_rows != int(count):
        found = f"a count of {int(count)} before {num_rows} rows"
        raise DatasetError(file, line=number, found=found, allowed=_COUNT_ALLOWED)


def read_names(file: Path, inside: Path | None = None) -> list[tuple[str, int]]:
    """Return the names of one of the two files in index order, each with its line number.

    Args:
        file: The file.
        inside: The dataset's folder, which no link may lead out of; None if it is of no dataset.

    Raises:
        DatasetError: If the file is missing, empty or not as described above.
    """
    rows: dict[int, tuple[str, int]] = {}
    lines: dict[str, int] = {}
    for number, row in _read_rows(file, _NAME_ALLOWED, inside):
        name, index = _parse_name(file, number, row)
        if index in rows:
            found = f"the index {index}, which line {rows[index][1]} has already"
            raise DatasetError(file, line=number, found=found, allowed="each index once")
        if name in lines:
            found = f"the name {quoted(name)}, which line {lines[name]} has already"
            raise DatasetError(file, line=number, found=found, allowed="each name once")
        rows[index] = (name, number)
        lines[name] = number
    for index, (name, number) in rows.items():
        if index >= len(rows):
            found = f"the index {index} of {quoted(name)}"
            raise DatasetError(
                file, line=number, found=found, allowed=f"each index from 0 to {len(rows) - 1} once"
            )
    return [rows[index] for index in range(len(rows))]


def _parse_name(file: Path, number: int, row: str) -> tuple[str, int]:
    columns = _NAME_AND_INDEX.fullmatch(row)
    if columns is None or "\t" in columns[1] or not _is_index(columns[2]):
        raise DatasetError(file, line=number, found=quoted(row), allowed=_NAME_ALLOWED)
    return columns[1], int(columns[2])


def _read_triples(file: Path, num_entities: int, num_relations: int) -> Triples:
    """Read one split into the graph's column order. Shape: (num_triples, 3)."""
    flat: list[int] = []
    for number, row in _read_rows(file, _TRIPLE_ALLOWED, file.parent):
        columns = row.split()
        if len(columns) != 3 or not all(map(_is_index, columns)):
            raise DatasetError(file, line=number, found=quoted(row), allowed=_TRIPLE_ALLOWED)
        head, tail, relation = map(int, columns)
        for field, index, size in (
            ("head", head, num_entities),
            ("tail", tail, num_entities),
            ("relation", relation, num_relations),
        ):
            if index >= size:
                allowed = f"an index from 0 to {size - 1}"
                raise DatasetError(
                    file, line=number, field=field, found=str(index), allowed=allowed
                )
        flat += (head, relation, tail)
    return np.array(flat, dtype=np.int64).reshape(-1, 3)


def _is_index(text: str) -> bool:
    """Whether a text is a number of at most 18 digits (int() would also take '1_0' and '-1')."""
    return text.isascii() and text.isdigit() and len(text) <= 18
