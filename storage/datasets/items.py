"""Entities and the raw items that they list: files, texts and numbers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from storage.errors import DatasetError

ItemKind = Literal["file", "text", "numbers"]

_TEXT_JOINT = ". "


class Origin(NamedTuple):
    """Where a field was read.

    Attributes:
        file: Name of a file in the dataset's folder.
        line: Its line, counted from 1.
    """

    file: str
    line: int


_NO_ORIGINS: Mapping[str, Origin] = {}  # shared by all entities whose fields are of one file


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing of the knowledge graph.

    Attributes:
        id: Unique name by which triples call it.
        name: What a person calls it.
        fields: The other fields of its objects, as read from JSON.
        line: Its line in the file of entities, counted from 1.
        origins: Where those fields were read that come from other files than that one.
    """

    id: str
    name: str
    fields: Mapping[str, object]
    line: int
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=lambda: _NO_ORIGINS)


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of raw media that an entity lists.

    Attributes:
        entity: Row of the entity, in entity order.
        content: A file's path relative to the dataset folder, as listed; a text; or numbers:
            attribute to value, as found.
    """

    entity: int
    content: str | Mapping[str, object]


Contents = Sequence[str] | Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class ItemReader:
    """Reads the items of one kind from entities.

    Attributes:
        fields: Fields to read, in this order.
        file: The file that the entities come from, for messages.
    """

    fields: tuple[str, ...]
    file: Path

    def of_kind(self, kind: ItemKind) -> Callable[[Entity], Contents]:
        """Return the function that reads the contents of an entity's items, in listed order.

        It raises `DatasetError` if a field holds the wrong JSON type, or a path that is
        absolute, empty or climbs with `..`.

        Args:
            kind: `file`: the paths of all fields; `text`: the texts of one field, or one text of
                several fields joined with ". "; `numbers`: one object merged from all fields.
        """
        readers: dict[ItemKind, Callable[[Entity], Contents]] = {
            "file": self._paths,
            "text": self._texts,
            "numbers": self._numbers,
        }
        return readers[kind]

    def _paths(self, entity: Entity) -> list[str]:
        paths: list[str] = []
        for field in self.fields:
            value = entity.fields.get(field)
            for path in self._strings(entity, field, value, "a list of paths, or a path"):
                self._check_path(entity, field, path)
                paths.append(path)
        return paths

    def _texts(self, entity: Entity) -> list[str]:
        own = {"id": entity.id, "name": entity.name}
        texts: list[str] = []
        for field in self.fields:
            value = own[field] if field in own else entity.fields.get(field)
            strings = self._strings(entity, field, value, "a string, or a list of strings")
            texts += [string.strip() for string in strings if string.strip()]
        if len(self.fields) > 1 and texts:
            return [_TEXT_JOINT.join(texts)]
        return texts

    def _numbers(self, entity: Entity) -> list[dict[str, object]]:
        merged: dict[str, object] = {}
        for field in self.fields:
            value = entity.fields.get(field)
            if value is None:
                continue
            if not isinstance(value, dict):
                raise self._error(entity, field, value, "an object: attribute to number")
            merged.update(value)
        return [merged] if merged else []

    def _strings(self, entity: Entity, field: str, value: object, allowed: str) -> list[str]:
        """Return a string or a list of strings as a list; null is an empty one."""
        if value is None:
            return []
        strings: list[str] = []
        for string in value if isinstance(value, list) else [value]:
            if not isinstance(string, str):
                raise self._error(entity, field, string, allowed)
            strings.append(string)
        return strings

    def _check_path(self, entity: Entity, field: str, path: str) -> None:
        if not may_be_listed(path):
            allowed = "a path inside the dataset folder: not empty, not absolute, without '..'"
            raise self._error(entity, field, path, allowed)

    def _error(self, entity: Entity, field: str, value: object, allowed: str) -> DatasetError:
        origin = entity.origins.get(field, Origin(self.file.name, entity.line))
        file = self.file.with_name(origin.file)
        return DatasetError(
            file, line=origin.line, field=field, found=describe(value), allowed=allowed
        )


def may_be_listed(path: str) -> bool:
    """Return whether a path, as listed, is one inside the dataset's folder."""
    posix = PurePosixPath(path)
    is_outside = posix.is_absolute() or ".." in posix.parts
    return bool(posix.parts) and not is_outside and "\0" not in path


def describe(value: object) -> str:
    """Describe a JSON value in an error message: its type and the start of what it holds."""
    types = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    if value is None:
        return "null"
    text = repr(value)
    return f"{types.get(type(value), 'list')} {text if len(text) <= 60 else text[:57] + '...'}"
