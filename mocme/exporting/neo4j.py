"""A completed graph as the pair of CSV files that `neo4j-admin database import` reads.

Source: Neo4j's operations manual, "Neo4j Admin import", on the fields of the header.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.atomic import replacing
from storage.datasets.graph import SPLITS, Graph
from storage.errors import MocmeError
from storage.files.separated import RowWriter

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

NODES, RELATIONSHIPS = "nodes.csv", "relationships.csv"
_NODE = ("id:ID", "name", ":LABEL")
_RELATIONSHIP = (":START_ID", ":END_ID", ":TYPE", "predicted:boolean")
_OF_PREDICTED = ("probability:double", "rule", "rule_confidence:double")
_LONGEST_HEADER = 1 << 16  # characters

Row = tuple[Any, ...]


class Neo4jError(MocmeError):
    """A graph that cannot be written."""


def write_graph(folder: Path, graph: Graph, triples: Iterable["PredictedTriple"]) -> int:
    """Write a graph's entities, its triples, and predicted ones; each file whole or not at all.

    `nodes.csv` has the id, the name and the label `Entity`; `relationships.csv` the ends, the type,
    `predicted`, and for predicted ones `probability`, of the most confident rule that leads to it
    `rule` and `rule_confidence` (empty if none does), and `weight_<modality>`.

    Older files are replaced if their first line is one that this writes.

    Args:
        folder: Made if absent.
        graph: The graph.
        triples: What it lacks.

    Returns:
        How many predicted triples there were.

    Raises:
        Neo4jError: If a file cannot be written, or another file of that name stands there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_own(folder / NODES, _NODE)
        _require_own(folder / RELATIONSHIPS, _RELATIONSHIP)
        _write(folder / NODES, _NODE, _nodes(graph))
        known = _known(graph)
        num_written = _write(folder / RELATIONSHIPS, *_relationships(known, iter(triples)))
    except OSError as error:
        raise Neo4jError(
            f"{folder}: found {error.strerror}; allowed: a folder that can be written to"
        ) from error
    return num_written - len(known)


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


def _nodes(graph: Graph) -> Iterator[Row]:
    for entity, name in zip(graph.entities, graph.names, strict=True):
        yield entity, name, "Entity"


def _known(graph: Graph) -> list[Row]:
    """Return start, end and type of every triple in the graph."""
    triples = np.unique(np.concatenate([graph.split(split) for split in SPLITS]), axis=0)
    return [
        (graph.entities[head], graph.entities[tail], graph.relations[relation])
        for head, relation, tail in triples.tolist()
    ]


def _relationships(
    known: list[Row], predicted: Iterator["PredictedTriple"]
) -> tuple[list[str], Iterator[Row]]:
    """Return the header, whose modalities are those of the first predicted triple, and rows."""
    first = list(islice(predicted, 1))
    weights = [f"weight_{name}:double" for triple in first for name in triple.modality_weights]
    header = [*_RELATIONSHIP, *_OF_PREDICTED, *weights]
    nothing = ("",) * (len(_OF_PREDICTED) + len(weights))
    known_rows = ((*row, "false", *nothing) for row in known)
    return header, chain(known_rows, map(_predicted_row, chain(first, predicted)))


def _predicted_row(triple: "PredictedTriple") -> Row:
    ends = triple.head, triple.tail, triple.relation
    rule = (str(triple.rule), triple.rule.confidence) if triple.rule else ("", "")
    return (*ends, "true", triple.probability, *rule, *triple.modality_weights.values())


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
