"""Further files of a dataset folder: `*.jsonl` files whose lines add fields to entities by id.

Each line is an object with the `id` of an entity. A field of an entity is given once over all
files, of objects such as `numeric` each attribute; null counts as not given. `name` and `kind` may
be given here, too. A `*.jsonl` file whose first line is no object with an `id`, such as one of
predictions or notes, is not the dataset's.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from storage.datasets.items import Entity, Origin, describe
from storage.datasets.reading.lines import numbered_lines
from storage.datasets.reading.objects import KIND, check_kind, kinds_of, parse_object, pop_name
from storage.datasets.reading.unknown import Sighting, UnknownNames
from storage.errors import DatasetError
from storage.words.visible import quoted

_SUFFIX = ".jsonl"
_ALLOWED = "JSON lines: an object a line, with the id of an entity and fields of it"
_MOVE = "move a file that is not the dataset's away"
_ONCE = f"each field of an entity once over all files, of numbers each attribute; {_MOVE}"


@dataclass(frozen=True)
class FurtherFiles:
    """The `*.jsonl` files of a folder beside its file of entities, by name and in its order.

    Attributes:
        read: Those that add fields to entities.
        ignored: Those whose first line is no object with an `id`.
    """

    read: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def find_further_files(root: Path, entities_file: str) -> FurtherFiles:
    """Return which files add fields to entities.

    Args:
        root: The dataset's folder.
        entities_file: Name of its file of entities.

    Raises:
        DatasetError: If the folder or a file cannot be read, or a file begins with a damaged
            object.
    """
    names = _names(root, entities_file)
    are_read = {name: _adds_fields(root / name) for name in names}
    return FurtherFiles(
        tuple(name for name in names if are_read[name]),
        tuple(name for name in names if not are_read[name]),
    )


def _names(root: Path, entities_file: str) -> list[str]:
    """Return the names of all `*.jsonl` files beside the file of entities, in order."""
    try:
        with os.scandir(root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.name.endswith(_SUFFIX)
                and not entry.name.startswith(".")
                and entry.name != entities_file
                and (entry.is_file() or entry.is_symlink())  # a link is checked when it is opened
            )
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise DatasetError(root, found=found, allowed="a folder that can be listed") from error


def _adds_fields(file: Path) -> bool:
    """Whether a file's first line is an object with an `id`; an empty file adds nothing.

    Notes, tables and lists are somebody else's. A damaged object, and a list of objects with ids,
    may be meant for the dataset.
    """
    for number, line in numbered_lines(file, _ALLOWED, inside=file.parent):
        if not line.lstrip().startswith("{") and '"id"' not in line:
            return False
        return "id" in parse_object(file, number, line)
    return True


def with_further_fields(
    root: Path,
    entities: tuple[Entity, ...],
    unnamed: set[int],
    entities_file: str,
    unknown: UnknownNames,
) -> tuple[tuple[Entity, ...], FurtherFiles]:
    """Return the entities with the fields of the folder's further files, and which these are.

    Args:
        root: The folder.
        entities: The entities, as the file of entities has them.
        unnamed: Rows of those to which that file gives no name.
        entities_file: Name of that file.
        unknown: Takes in ids that no entity has.

    Raises:
        DatasetError: If a further file is not as it should be.
    """
    files = find_further_files(root, entities_file)
    if not files.read:
        return entities, files
    added = FurtherFields(entities, unnamed, entities_file, unknown)
    for name in files.read:
        added.read(root / name)
    return added.entities(), files


def kinds_of_entities(entities: Sequence[Entity]) -> tuple[tuple[str, ...], ...]:
    """Return the kinds of each entity, or nothing if none states any."""
    if not any(KIND in entity.fields for entity in entities):
        return ()
    kinds = tuple(kinds_of(entity.fields.get(KIND)) for entity in entities)
    return kinds if any(kinds) else ()


class FurtherFields:
    """Adds the fields of further files to entities.

    Args:
        entities: The entities, as the file of entities has them.
        unnamed: Rows of those to which that file gives no name.
        entities_file: Name of that file.
        unknown: Takes in ids that no entity has.
    """

    def __init__(
        self,
        entities: Sequence[Entity],
        unnamed: Collection[int],
        entities_file: str,
        unknown: UnknownNames,
    ) -> None:
        self._entities = entities
        self._unnamed = unnamed
        self._entities_file = entities_file
        self._unknown = unknown
        self._rows = {entity.id: row for row, entity in enumerate(entities)}
        self._names: dict[int, str] = {}
        self._fields: dict[int, dict[str, object]] = {}
        self._origins: dict[int, dict[str, Origin]] = {}

    def read(self, file: Path) -> None:
        """Take in one file.

        Raises:
            DatasetError: If a line is not as it should be, or gives a field that is given already.
        """
        for number, line in numbered_lines(file, _ALLOWED, inside=file.parent):
            fields = parse_object(file, number, line)
            entity_id = fields.pop("id", None)
            if not isinstance(entity_id, str) or not entity_id:
                found = describe(entity_id) if entity_id is not None else "no id"
                allowed = f"the id of an entity, a string; {_MOVE}"
                raise DatasetError(file, line=number, field="id", found=found, allowed=allowed)
            name = pop_name(file, number, fields)
            check_kind(file, number, fields.get(KIND))
            given = {field: value for field, value in fields.items() if value is not None}
            row = self._rows.get(entity_id)
            if row is None:
                allowed = f"an id of {self._entities_file}; {_MOVE}"
                self._unknown.add(file, number, [Sighting("entity", "id", entity_id, allowed)])
            else:
                self._add(file, Origin(file.name, number), row, name, given)

    def _add(
        self, file: Path, origin: Origin, row: int, name: str | None, given: Mapping[str, object]
    ) -> None:
        origins, fields = self._origins.setdefault(row, {}), self._fields.setdefault(row, {})
        for field, value in (*given.items(), *([("name", name)] if name else [])):
            earlier = self._origin_of(row, field)
            merged = value if earlier is None else self._merged(row, field, value)
            if merged is None:
                whose, where = quoted(self._entities[row].id), earlier or origin
                found = f"a second value for {whose}; {where.file}, line {where.line} has one"
                raise DatasetError(file, line=origin.line, field=field, found=found, allowed=_ONCE)
            origins[field] = origin
            if field in given:
                fields[field] = merged
        if name:
            self._names[row] = name

    def _merged(self, row: int, field: str, value: object) -> dict[str, object] | None:
        """Return two objects of different attributes as one; None for anything else."""
        earlier = self._fields[row].get(field, self._entities[row].fields.get(field))
        if not isinstance(earlier, dict) or not isinstance(value, dict):
            return None
        return None if earlier.keys() & value.keys() else {**earlier, **value}

    def _origin_of(self, row: int, field: str) -> Origin | None:
        """Return where a field of an entity is given; None if it is not."""
        if (origin := self._origins[row].get(field)) is not None:
            return origin
        entity = self._entities[row]
        if field == "name":
            is_given = row not in self._unnamed
        else:
            is_given = entity.fields.get(field) is not None
        return Origin(self._entities_file, entity.line) if is_given else None

    def entities(self) -> tuple[Entity, ...]:
        """Return the entities with the fields that were added."""
        return tuple(
            replace(
                entity,
                name=self._names.get(row, entity.name),
                fields={**entity.fields, **self._fields[row]},
                origins=self._origins[row],
            )
            if row in self._fields
            else entity
            for row, entity in enumerate(self._entities)
        )
