"""Lines of JSON objects about entities: their syntax, and the keys `id`, `name` and `kind`."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from storage.datasets.items import describe
from storage.errors import DatasetError
from storage.words.visible import quoted

KIND = "kind"
"""The field that says what kinds of thing an entity is."""

_MAX_NESTING = 100  # what reads a value later may be deep in calls itself
_KIND_ALLOWED = "a string that is not empty, or a list of such strings"


def parse_object(file: Path, number: int, line: str) -> dict[str, object]:
    """Return the JSON object of one line.

    Args:
        file: The file, for messages.
        number: The line's number.
        line: Its text.

    Raises:
        DatasetError: If it is no JSON object, has a key twice, is nested too deep or holds text
            that UTF-8 cannot write.
    """
    allowed = 'a JSON object such as {"id": "cat", "name": "Cat"}'
    try:
        value = _DECODER.decode(line)
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


def pop_id(file: Path, number: int, fields: dict[str, object]) -> str:
    """Take the id out of an entity's object and return it.

    Raises:
        DatasetError: If it is no string, empty, or holds a tab or a line break.
    """
    entity_id = fields.pop("id", None)
    if not isinstance(entity_id, str) or not entity_id or set(entity_id) & set("\t\r\n"):
        allowed = "a string that is not empty and holds no tab and no line break"
        found = describe(entity_id) if entity_id is not None else "no id"
        raise DatasetError(file, line=number, field="id", found=found, allowed=allowed)
    return entity_id


def pop_name(file: Path, number: int, fields: dict[str, object]) -> str | None:
    """Take the name out of an entity's object and return it; None if it gives none.

    Raises:
        DatasetError: If it is no string.
    """
    name = fields.pop("name", None)
    if not isinstance(name, str | None):
        found = describe(name)
        raise DatasetError(file, line=number, field="name", found=found, allowed="a string")
    return name or None


def check_kind(file: Path, number: int, kind: object) -> None:
    """Refuse a kind that is no string and no list of strings, or is or holds nothing.

    Args:
        file: The file, for messages.
        number: The line's number.
        kind: The value of the field; None if the object has none.

    Raises:
        DatasetError: If so.
    """
    if kind is None:
        return
    strings = kind if isinstance(kind, list) else [kind]
    bad = [it for it in strings if not isinstance(it, str) or not it]
    if bad or not strings:
        found = describe(bad[0] if bad else kind)
        raise DatasetError(file, line=number, field=KIND, found=found, allowed=_KIND_ALLOWED)


def kinds_of(kind: object) -> tuple[str, ...]:
    """Return the kinds that a checked value states, each once, in its order."""
    if kind is None:
        return ()
    return tuple(dict.fromkeys(kind)) if isinstance(kind, list) else (str(kind),)


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, none of whose values takes the place of another."""
    made = dict(pairs)
    if len(made) < len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {quoted(repeated)} stands twice in an object")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct_keys)  # json.loads makes one a line


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
