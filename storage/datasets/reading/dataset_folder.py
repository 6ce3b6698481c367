"""The project's own dataset folder.

- `entities.jsonl`: one JSON object a line. `id`: a unique string. `name`: optional, the id by
  default. `kind`: optional, a string or several. Any other fields, which modalities read.
- `train.tsv`, `valid.tsv`, `test.tsv`: head, relation and tail, separated by tabs; heads and tails
  by id; perhaps a confidence. Or `triples.tsv` alone, which is split by hash
  (see `storage.datasets.split`).
- Optional: `negatives.tsv`, and further `*.jsonl` files that add fields.

Blank lines are skipped. Relations are those that occur in any split, in sorted order.
docs/formats.md is the whole description.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import SPLITS, Graph, Triples
from storage.datasets.items import Entity
from storage.datasets.reading.further import FurtherFiles, kinds_of_entities, with_further_fields
from storage.datasets.reading.lines import numbered_lines
from storage.datasets.reading.near_misses import Wanted, but_there_is, near_misses
from storage.datasets.reading.negatives import NEGATIVES_FILE, read_negatives, write_negatives
from storage.datasets.reading.objects import KIND, check_kind, parse_object, pop_id, pop_name
from storage.datasets.reading.triple_lines import (
    ALLOWED_WITH_CONFIDENCE,
    TripleColumns,
    read_columns,
    uncertain_triples,
)
from storage.datasets.reading.unknown import UnknownNames
from storage.datasets.split import split_triples
from storage.errors import DatasetError
from storage.words.visible import quoted

ENTITIES_FILE = "entities.jsonl"

_UNSPLIT_FILE = "triples.tsv"
_SPLIT_FILES = tuple(f"{split}.tsv" for split in SPLITS)
FILES = (ENTITIES_FILE, _UNSPLIT_FILE, *_SPLIT_FILES, NEGATIVES_FILE)
"""Names of the files that are read, further ones apart."""

_ENTITIES_ALLOWED = "one JSON object a line, with the entity's id"


def read(root: Path, split_salt: str) -> tuple[tuple[Entity, ...], Graph, FurtherFiles]:
    """Read entities and graph of a dataset folder, and which further files add fields.

    Args:
        root: The folder.
        split_salt: Salt of the split of `triples.tsv`.

    Raises:
        DatasetError: If a file is missing, empty or not as described above.
        UnknownNamesError: If files name entities that are not listed; all of them.
    """
    files = _triple_files(root)
    unknown = UnknownNames()
    listed, unnamed = _read_entities(root / ENTITIES_FILE)
    entities, further = with_further_fields(root, listed, unnamed, ENTITIES_FILE, unknown)
    rows = {entity.id: row for row, entity in enumerate(entities)}
    columns = [read_columns(file, rows, ENTITIES_FILE, unknown) for file in files]
    relations = tuple(sorted({relation for split in columns for relation in split.relations}))
    indices = {relation: index for index, relation in enumerate(relations)}
    negatives = read_negatives(root, rows, indices, ENTITIES_FILE, unknown)
    unknown.raise_if_any({"entity": rows, "relation": indices}, root)
    splits = [split.to_triples(relations) for split in columns]
    uncertain, confidences = _uncertain(columns, splits, len(entities), len(relations))
    ids, names = tuple(rows), tuple(entity.name for entity in entities)
    is_unsplit = len(files) == 1
    if is_unsplit:
        splits = _split(files[0], splits[0], ids, relations, split_salt)
    kinds = kinds_of_entities(entities)
    train, valid, test = splits
    parts = (train, valid, test, negatives, kinds, uncertain, confidences, is_unsplit)
    graph = Graph(ids, names, relations, *parts)
    return entities, graph, further


def write_splits(root: Path, graph: Graph) -> None:
    """Write the graph's splits and negatives into a dataset folder, beside its `entities.jsonl`.

    Args:
        root: The folder.
        graph: The graph.
    """
    for split, name in zip(SPLITS, _SPLIT_FILES, strict=True):
        triples = graph.split(split)
        confidences = graph.confidence(triples)
        with (root / name).open("w", encoding="utf-8", newline="\n") as file:
            for (head, relation, tail), confidence in zip(
                triples.tolist(), confidences, strict=True
            ):
                columns = [graph.entities[head], graph.relations[relation], graph.entities[tail]]
                if confidence < 1:
                    columns.append(str(confidence))  # the shortest that reads back the same
                file.write("\t".join(columns) + "\n")
    write_negatives(root, graph)


def _read_entities(file: Path) -> tuple[tuple[Entity, ...], set[int]]:
    """Return the entities, and the rows of those without a name of their own."""
    entities: list[Entity] = []
    unnamed: set[int] = set()
    lines: dict[str, int] = {}
    for number, line in numbered_lines(file, _ENTITIES_ALLOWED, inside=file.parent):
        fields = parse_object(file, number, line)
        entity_id = pop_id(file, number, fields)
        name = pop_name(file, number, fields)
        if KIND in fields:
            check_kind(file, number, fields[KIND])
        if entity_id in lines:
            found = f"{quoted(entity_id)}, which line {lines[entity_id]} has already"
            raise DatasetError(file, line=number, field="id", found=found, allowed="unique ids")
        lines[entity_id] = number
        if name is None:
            unnamed.add(len(entities))
        entities.append(Entity(entity_id, name or entity_id, fields, number))
    if not entities:
        raise DatasetError(file, found="an empty file", allowed=_ENTITIES_ALLOWED)
    return tuple(entities), unnamed


def _triple_files(root: Path) -> list[Path]:
    """Return the one file of triples, or the files of the splits in the order of `SPLITS`."""
    split_files = [root / name for name in _SPLIT_FILES]
    absent = [file for file in split_files if not os.path.lexists(file)]
    if not os.path.lexists(root / _UNSPLIT_FILE):
        if absent:
            raise _absent_triples(root, absent)
        return split_files
    for file in split_files:
        if file not in absent:
            raise DatasetError(
                file,
                found=f"a split beside {_UNSPLIT_FILE}",
                allowed=f"either {', '.join(_SPLIT_FILES)} or {_UNSPLIT_FILE}",
            )
    return [root / _UNSPLIT_FILE]


def _absent_triples(root: Path, absent: Sequence[Path]) -> DatasetError:
    """Return the error about absent files of triples; it names what may have been meant."""
    names = f"{', '.join(_SPLIT_FILES)}, or {_UNSPLIT_FILE} alone"
    allowed = f"{names}: {ALLOWED_WITH_CONFIDENCE}"
    if len(absent) == len(SPLITS):
        meant = near_misses(root, ("triples", "train"), FILES)
        found = f"neither {_UNSPLIT_FILE} nor {_SPLIT_FILES[0]}{but_there_is(meant)}"
        return DatasetError(root, found=found, allowed=allowed)
    split: Wanted = SPLITS[_SPLIT_FILES.index(absent[0].name)]
    found = f"no such file{but_there_is(near_misses(root, (split,), FILES))}"
    return DatasetError(absent[0], found=found, allowed=allowed)


def _split(
    file: Path, triples: Triples, entities: Sequence[str], relations: Sequence[str], salt: str
) -> list[Triples]:
    try:
        return list(split_triples(triples, entities, relations, salt))
    except ValueError as error:
        allowed = f"more triples, or a split of your own in {', '.join(_SPLIT_FILES)}"
        raise DatasetError(file, found=str(error), allowed=allowed) from error


def _uncertain(
    columns: Sequence[TripleColumns],
    splits: Sequence[Triples],
    num_entities: int,
    num_relations: int,
) -> tuple[Triples, NDArray[np.float32]]:
    """Return the distinct triples with a confidence below 1, and the confidences."""
    if not any(read.confidences for read in columns):
        return np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.float32)
    stated = [np.ones(len(split), dtype=np.float32) for split in splits]
    for read, confidences in zip(columns, stated, strict=True):
        confidences[list(read.confidences)] = list(read.confidences.values())
    return uncertain_triples(
        np.concatenate(splits), np.concatenate(stated), num_entities, num_relations
    )
