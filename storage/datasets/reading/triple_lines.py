"""Lines of triples: head, relation and tail by name, separated by tabs, perhaps with a confidence.

A confidence is a decimal number from 0 to 1 in a fourth column; lines with and without one may be
mixed. Of a triple that is listed several times, in whatever splits, the highest confidence counts;
one without a confidence has 1.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import Triples
from storage.datasets.items import describe
from storage.datasets.keys import pack
from storage.datasets.reading.lines import numbered_lines
from storage.datasets.reading.unknown import Sighting, UnknownNames
from storage.errors import DatasetError
from storage.words.visible import quoted

COLUMNS = "head<TAB>relation<TAB>tail"
ALLOWED = f"lines of {COLUMNS}, the columns separated by tabs, without a header line"
ALLOWED_WITH_CONFIDENCE = f"{ALLOWED}; a fourth column may hold a confidence from 0 to 1"
CONFIDENCE_ALLOWED = "a decimal number from 0 to 1, such as 0.8, or no fourth column"

_NUMBER = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SEPARATORS = {",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
_HEADERS = (  # what the three columns are called in the headers of tables
    {"h", "head", "s", "subj", "subject", "from", "source", "src", "start", "entity1", "node1"},
    {"r", "rel", "relation", "p", "pred", "predicate", "property", "edge", "label", "type"},
    {"t", "tail", "o", "obj", "object", "to", "target", "dst", "end", "entity2", "node2"},
)


@dataclass
class TripleColumns:
    """The triples of one file.

    Attributes:
        heads: Rows of the heads.
        relations: Names of the relations.
        tails: Rows of the tails.
        confidences: Place of a triple -> the confidence that its line states.
    """

    heads: list[int] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    tails: list[int] = field(default_factory=list)
    confidences: dict[int, float] = field(default_factory=dict)

    def to_triples(self, relations: Sequence[str]) -> Triples:
        """Stack the columns, relations by index. Shape: (num_triples, 3)."""
        indices = {relation: index for index, relation in enumerate(relations)}
        columns = [self.heads, [indices[name] for name in self.relations], self.tails]
        return np.array(columns, dtype=np.int64).T.copy()


def read_columns(
    file: Path, rows: Mapping[str, int], entities_file: str, unknown: UnknownNames
) -> TripleColumns:
    """Read a file of triples.

    Args:
        file: The file.
        rows: Row of each entity by its id.
        entities_file: Name of the file that lists these, for messages.
        unknown: Takes in entities that are not among them; their lines are left out.

    Raises:
        DatasetError: If the file cannot be read, or is not as described above.
    """
    read = TripleColumns()
    heads, relations, tails = read.heads, read.relations, read.tails
    is_first, find = True, rows.get
    # Not by `split_lines`: millions of lines would each pay for one generator more.
    for number, line in numbered_lines(file, ALLOWED_WITH_CONFIDENCE, inside=file.parent):
        columns = line.split("\t")
        if len(columns) != 3 or not columns[1]:
            _check_columns(file, number, line, ALLOWED_WITH_CONFIDENCE, most_columns=4)
        head, tail = find(columns[0]), find(columns[2])
        is_known = head is not None and tail is not None
        if not is_known:
            ends = unknown_ends(columns[0], columns[2], rows, entities_file)
            if is_first:
                refuse_header(file, number, columns, entities_file)
                ends = mention_header(ends)
            unknown.add(file, number, ends)
        is_first = False
        if len(columns) == 4:
            confidence = _parse_confidence(file, number, columns[3])
            if is_known:
                read.confidences[len(heads)] = confidence
        if head is not None and tail is not None:
            heads.append(head)
            relations.append(columns[1])
            tails.append(tail)
    if is_first:
        raise DatasetError(file, found="no triples", allowed=f"at least one of {ALLOWED}")
    return read


def split_lines(file: Path, allowed: str, most_columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and columns of each line: head, relation, tail and what may follow.

    Raises:
        DatasetError: If the file cannot be read, or a line has fewer or more columns, or no
            relation.
    """
    for number, line in numbered_lines(file, allowed, inside=file.parent):
        _check_columns(file, number, line, allowed, most_columns)
        yield number, line.split("\t")


def _check_columns(file: Path, number: int, line: str, allowed: str, most_columns: int) -> None:
    """Refuse a line of fewer or more columns, or without a relation."""
    columns = line.split("\t")
    if not 3 <= len(columns) <= most_columns:
        found = f"{len(columns)} column{'s' * (len(columns) != 1)} in {describe(line)}"
        found += _separators(line)
        raise DatasetError(file, line=number, found=found, allowed=allowed)
    if not columns[1]:
        allowed_relation = "a relation's name"
        raise DatasetError(
            file, line=number, field="relation", found="nothing", allowed=allowed_relation
        )


def unknown_ends(
    head: str, tail: str, rows: Mapping[str, int], entities_file: str
) -> list[Sighting]:
    """Return which of head and tail no entity has."""
    allowed = f"an id of {entities_file}"
    return [
        Sighting("entity", column, name, allowed)
        for column, name in (("head", head), ("tail", tail))
        if name not in rows
    ]


def mention_header(ends: list[Sighting]) -> list[Sighting]:
    """Return the unknown ends of a first line; if both are, it may be a header of any words."""
    if len(ends) < 2:
        return ends
    return [it._replace(allowed=f"{it.allowed}, and no header line") for it in ends]


def uncertain_triples(
    triples: Triples, stated: NDArray[np.float32], num_entities: int, num_relations: int
) -> tuple[Triples, NDArray[np.float32]]:
    """Return the distinct triples whose highest confidence is below 1, and these confidences.

    Args:
        triples: The triples of all splits. Shape: (num_triples, 3).
        stated: Their confidences, 1 where none is stated. Shape: (num_triples,).
        num_entities: Of the graph.
        num_relations: Of the graph.

    Returns:
        In the order of `storage.datasets.keys`. Shapes: (num_uncertain, 3), (num_uncertain,).
    """
    keys = pack(triples, num_entities, num_relations)
    _, places, groups = np.unique(keys, return_index=True, return_inverse=True)
    highest = np.zeros(len(places), dtype=np.float32)
    np.maximum.at(highest, groups, stated)
    is_uncertain = highest < 1
    return triples[places[is_uncertain]], highest[is_uncertain]


def _parse_confidence(file: Path, number: int, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else None
    if value is None or value > 1:
        found = quoted(text) if text else "nothing"
        raise DatasetError(
            file, line=number, field="confidence", found=found, allowed=CONFIDENCE_ALLOWED
        )
    return value


def refuse_header(file: Path, number: int, columns: Sequence[str], entities_file: str) -> None:
    """Refuse a first line that names the columns.

    Raises:
        DatasetError: If at least two of its columns are called as those of tables are.
    """
    words = [column.strip().strip('"#:<>').lower() for column in columns]
    words = [word.removesuffix("_id").removesuffix("id").rstrip("_ ") or word for word in words]
    matches = sum(word in names for word, names in zip(words, _HEADERS, strict=False))
    if matches >= 2:
        raise DatasetError(
            file,
            line=number,
            found=f"a header line (the unknown entity {quoted(columns[0])})",
            allowed=f"no header line: triples from the first line on, an id of {entities_file} "
            "as head and as tail",
        )


def _separators(line: str) -> str:
    """Say what seems to separate the columns of a line that no tab separates."""
    if "\t" not in line:
        for separator, name in _SEPARATORS.items():
            if line.count(separator) >= 2:
                return f", separated by {name}"
    return ""
