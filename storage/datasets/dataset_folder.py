"""The project's own dataset folder.

- `entities.jsonl`: one JSON object a line. `id`: a unique string. `name`: optional, the id by
  default. Any other fields, which modalities read.
- `train.tsv`, `valid.tsv`, `test.tsv`: head, relation and tail, separated by tabs; heads and tails
  by id. Or `triples.tsv` alone, which is split reproducibly.

Blank lines are skipped. Relations are those that occur in any split, in sorted order.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from storage.datasets.graph import SPLITS, Graph, Triples
from storage.datasets.items import Entity, describe
from storage.datasets.lines import numbered_lines
from storage.datasets.split import split_triples
from storage.errors import DatasetError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted

ENTITIES_FILE = "entities.jsonl"

_UNSPLIT_FILE = "triples.tsv"
_SPLIT_FILES = tuple(f"{split}.tsv" for split in SPLITS)

_ENTITIES_ALLOWED = "one JSON object a line, with the entity's id"
_MAX_NESTING = 100  # what reads a value later may be deep in calls itself
_TRIPLES_ALLOWED = "lines of head<TAB>relation<TAB>tail"

_Columns = tuple[list[int], list[str], list[int]]  # rows of heads, ids of relations, rows of tails


def read(root: Path) -> tuple[tuple[Entity, ...], Graph]:
    """Read entities and graph of a dataset folder.

    Args:
        root: The folder.

    Raises:
        DatasetError: If a file is missing, empty or not as described above, or an entity in a
            triple is not listed.
    """
    entities = _read_entities(root / ENTITIES_FILE)
    ids = tuple(entity.id for entity in entities)
    names = tuple(entity.name for entity in entities)
    rows = {entity_id: row for row, entity_id in enumerate(ids)}
    files = _triple_files(root)
    columns = [_read_columns(file, rows) for file in files]
    relations = tuple(sorted({relation for _, split, _ in columns for relation in split}))
    splits = [_to_triples(split, relations) for split in columns]
    if len(files) == 1:
        splits = _split(files[0], splits[0], ids, relations)
    train, valid, test = splits
    return entities, Graph(ids, names, relations, train, valid, test)


def write_splits(root: Path, graph: Graph) -> None:
    """Write the graph's splits into a dataset folder, beside its `entities.jsonl`.

    Args:
        root: The folder.
        graph: The graph.
    """
    for split, name in zip(SPLITS, _SPLIT_FILES, strict=True):
        with (root / name).open("w", encoding="utf-8", newline="\n") as file:
            for head, relation, tail in graph.split(split).tolist():
                columns = (graph.entities[head], graph.relations[relation], graph.entities[tail])
                file.write("\t".join(columns) + "\n")


def _read_entities(file: Path) -> tuple[Entity, ...]:
    entities: list[Entity] = []
    lines: dict[str, int] = {}
    for number, line in numbered_lines(file, _ENTITIES_ALLOWED, inside=file.parent):
        entity = _parse_entity(file, number, line)
        if entity.id in lines:
            found = f"{quoted(entity.id)}, which line {lines[entity.id]} has already"
            raise DatasetError(file, line=number, field="id", found=found, allowed="unique ids")
        lines[entity.id] = number
        entities.append(entity)
    if not entities:
        raise DatasetError(file, found="an empty file", allowed=_ENTITIES_ALLOWED)
    return tuple(entities)


def _parse_entity(file: Path, number: int, line: str) -> Entity:
    fields = _parse_object(file, number, line)
    entity_id = fields.pop("id", None)
    if not isinstance(entity_id, str) or not entity_id or set(entity_id) & set("\t\r\n"):
        allowed = "a string that is not empty and holds no tab and no line break"
        found = describe(entity_id) if entity_id is not None else "no id"
        raise DatasetError(file, line=number, field="id", found=found, allowed=allowed)
    name = fields.pop("name", None)
    if not isinstance(name, str | None):
        found = describe(name)
        raise DatasetError(file, line=number, field="name", found=found, allowed="a string")
    return Entity(entity_id, name or entity_id, fields, number)


def _parse_object(file: Path, number: int, line: str) -> dict[str, object]:
    allowed = 'a JSON object such as {"id": "cat", "name": "Cat"}'
    try:
        value = json.loads(line, object_pairs_hook=_distinct_keys)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            file, line=number, found=f"no JSON ({error})", allowed=allowed
        ) from error
    if not isinstance(value, dict):
        raise DatasetError(file, line=number, found=describe(value), allowed=allowed)
    if line.count("[") + line.count("{") > _MAX_NESTING and _is_nested_deeply(value):
        found = "lists or objects too deep within each other"
        allowed = f"{_MAX_NESTING} levels"
        raise DatasetError(file, line=number, found=found, allowed=allowed)
    if "\\ud" in line.lower() and not _is_unicode(value):
        found = "half of a surrogate pair (\\ud800 to \\udfff alone)"
        raise DatasetError(file, line=number, found=found, allowed="text that UTF-8 can write")
    return value


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, none of whose values takes the place of another."""
    made = dict(pairs)
    if len(made) < len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {quoted(repeated)} stands twice in an object")
    return made


def _is_nested_deeply(value: object) -> bool:
    """Whether lists and objects stand within each other at more than `_MAX_NESTING` levels."""
    level = [value]
    for _ in range(_MAX_NESTING + 1):
        level = [child for parent in level for child in _children(parent)]
    return bool(level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _is_unicode(value: object) -> bool:
    """Whether every string in a JSON value can be encoded."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _triple_files(root: Path) -> list[Path]:
    """Return the one file of triples, or the files of the splits in the order of `SPLITS`."""
    split_files = [root / name for name in _SPLIT_FILES]
    if not os.path.lexists(root / _UNSPLIT_FILE):
        return split_files
    for file in split_files:
        if os.path.lexists(file):
            raise DatasetError(
                file,
                found=f"a split beside {_UNSPLIT_FILE}",
                allowed=f"either {', '.join(_SPLIT_FILES)} or {_UNSPLIT_FILE}",
            )
    return [root / _UNSPLIT_FILE]


def _split(
    file: Path, triples: Triples, entities: Sequence[str], relations: Sequence[str]
) -> list[Triples]:
    try:
        return list(split_triples(triples, entities, relations))
    except ValueError as error:
        allowed = f"more triples, or a split of your own in {', '.join(_SPLIT_FILES)}"
        raise DatasetError(file, found=str(error), allowed=allowed) from error


def _read_columns(file: Path, rows: Mapping[str, int]) -> _Columns:
    heads: list[int] = []
    relations: list[str] = []
    tails: list[int] = []
    for number, line in numbered_lines(file, _TRIPLES_ALLOWED, inside=file.parent):
        columns = line.split("\t")
        if len(columns) != 3:
            found = f"{len(columns)} column{'s' * (len(columns) != 1)} in {describe(line)}"
            raise DatasetError(file, line=number, found=found, allowed=_TRIPLES_ALLOWED)
        head, relation, tail = columns
        if head not in rows or tail not in rows or not relation:
            raise _bad_triple(file, number, columns, rows)
        heads.append(rows[head])
        relations.append(relation)
        tails.append(rows[tail])
    if not heads:
        raise DatasetError(file, found="no triples", allowed=f"at least one of {_TRIPLES_ALLOWED}")
    return heads, relations, tails


def _bad_triple(
    file: Path, number: int, columns: Sequence[str], rows: Mapping[str, int]
) -> DatasetError:
    head, relation, tail = columns
    if not relation:
        return DatasetError(
            file, line=number, field="relation", found="nothing", allowed="a relation's name"
        )
    field, entity = ("head", head) if head not in rows else ("tail", tail)
    found = f"the unknown entity {quoted(entity)}{did_you_mean(entity, rows)}"
    return DatasetError(
        file, line=number, field=field, found=found, allowed=f"an id of {ENTITIES_FILE}"
    )


def _to_triples(columns: _Columns, relations: Sequence[str]) -> Triples:
    """Stack the columns, relations by index. Shape: (num_triples, 3)."""
    indices = {relation: index for index, relation in enumerate(relations)}
    heads, names, tails = columns
    return np.array([heads, [indices[name] for name in names], tails], dtype=np.int64).T.copy()
