"""A completed graph as the pair of CSV files that `neo4j-admin database import` reads.

A predicted triple is a relationship of the type `PREDICTED`, so a query for a relation's own type
finds facts alone; `asserts` gives it the relation's type instead.
Source: Neo4j's operations manual, "Neo4j Admin import", on the fields of the header.
"""

import csv
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocme.exporting.entity_content import EntityContent
from mocme.exporting.known_triples import KnownTriple, known_triples
from mocme.exporting.neo4j_nodes import NODE_COLUMNS, NodeTable, Row
from mocme.exporting.property_names import distinct_names, property_name
from storage.atomic import replacing
from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.files.separated import RowWriter

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

NODES, RELATIONSHIPS = "nodes.csv", "relationships.csv"
PREDICTED = "PREDICTED"
"""Type of the relationships that are predicted, with `_2` behind it where a relation is so called.
"""

_RELATIONSHIP = (":START_ID", ":END_ID", ":TYPE", "predicted:boolean")
_OF_KNOWN = ("confidence:double",)
_OF_PREDICTED = ("relation", "probability:double", "rule", "rule_confidence:double")
_LONGEST_HEADER = 1 << 16  # characters


class Neo4jError(MocmeError):
    """A graph that cannot be written."""


def write_graph(
    folder: Path,
    graph: Graph,
    triples: Iterable["PredictedTriple"],
    nodes: NodeTable | None = None,
    *,
    asserts: bool = False,
) -> int:
    """Write a graph's entities, its triples, and predicted ones; each file whole or not at all.

    `nodes.csv` has what `NodeTable` says. `relationships.csv` has the ends, the type, `predicted`,
    of known triples the `confidence` if one below 1 is stated, and of predicted ones `relation`,
    `probability`, of the most confident rule that leads to it `rule` and `rule_confidence` (empty
    if none does), and `weight_<modality>`.

    Older files are replaced if their first line is one that this writes.

    Args:
        folder: Made if absent.
        graph: The graph.
        triples: What it lacks.
        nodes: Its entities with all that they list; by default with their kinds alone.
        asserts: Whether predicted triples have the type of their relation, as known ones do.

    Returns:
        How many predicted triples there were.

    Raises:
        Neo4jError: If a file cannot be written, or another file of that name stands there.
    """
    table = nodes or NodeTable(graph, EntityContent())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_own(folder / NODES, NODE_COLUMNS)
        _require_own(folder / RELATIONSHIPS, _RELATIONSHIP)
        _write(folder / NODES, table.header, table.rows())
        known = known_triples(graph)
        kind = None if asserts else distinct_names([*graph.relations, PREDICTED], str)[-1]
        rows = _relationships(known, iter(triples), kind)
        num_written = _write(folder / RELATIONSHIPS, *rows)
    except OSError as error:
        raise Neo4jError(
            f"{folder}: found {error.strerror}; allowed: a folder that can be written to"
        ) from error
    return num_written - len(known)


def import_command(folder: Path, array_delimiter: str = ";") -> str:
    """Return the command that reads the two files into a new database.

    Args:
        folder: Where they lie.
        array_delimiter: The `NodeTable`'s.
    """
    words = ["neo4j-admin", "database", "import", "full", "neo4j"]
    words += [f"--nodes={folder / NODES}", f"--relationships={folder / RELATIONSHIPS}"]
    words.append("--multiline-fields=true")
    if array_delimiter != ";":
        is_plain = array_delimiter.isascii()
        shown = array_delimiter if is_plain else f"U+{ord(array_delimiter):04X}"
        words.append(f"--array-delimiter={shown}")
    return shlex.join(words)


def _require_own(path: Path, header: Sequence[str]) -> None:
    """Refuse to replace a file that does not begin as this writes it."""
    if not os.path.lexists(path):
        return
    found: list[str] = []
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            found = next(csv.reader([file.readline(_LONGEST_HEADER)]), [])
    if found[: len(header)] != list(header):
        raise Neo4jError(
            f"{path}: found another file; allowed: none, or one that mocme has written"
        )


def _relationships(
    known: Iterable[KnownTriple], predicted: Iterator["PredictedTriple"], kind: str | None
) -> tuple[list[str], Iterator[Row]]:
    """Return the header, whose modalities are those of the first predicted triple, and rows.

    Args:
        known: The graph's triples.
        predicted: What it lacks.
        kind: Type of the predicted ones; None = their relation.
    """
    first = list(islice(predicted, 1))
    modalities = [f"weight_{name}" for triple in first for name in triple.modality_weights]
    weights = [f"{name}:double" for name in distinct_names(modalities, property_name)]
    header = [*_RELATIONSHIP, *_OF_KNOWN, *_OF_PREDICTED, *weights]
    nothing = ("",) * (len(_OF_PREDICTED) + len(weights))
    known_rows = (
        (it.head, it.tail, it.relation, "false", _or_empty(it.confidence), *nothing) for it in known
    )
    return header, chain(known_rows, (_predicted_row(it, kind) for it in chain(first, predicted)))


def _predicted_row(triple: "PredictedTriple", kind: str | None) -> Row:
    ends = triple.head, triple.tail, kind or triple.relation
    rule = (str(triple.rule), triple.rule.confidence) if triple.rule else ("", "")
    told = triple.relation, triple.probability, *rule
    return (*ends, "true", "", *told, *triple.modality_weights.values())


def _or_empty(value: float | None) -> Any:
    return "" if value is None else value


def _write(path: Path, header: Sequence[str], rows: Iterable[Row]) -> int:
    """Write a file and return how many rows there were."""
    num_rows = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = RowWriter(file)
        writer.write(header)
        for row in rows:
            writer.write(row)
            num_rows += 1
    return num_rows
