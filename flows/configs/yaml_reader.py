"""Strict reading of a YAML config: duplicate keys are refused and every key knows its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.configs.config_source import ConfigError, read_source
from flows.configs.yaml_schema import ConfigLoader
from storage.words.visible import shortened, visible_line

__all__ = ["ConfigError", "KeyPath", "YamlFile", "read_yaml"]

KeyPath = tuple[str, ...]

_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


@dataclass(frozen=True)
class YamlFile:
    """A config file's content.

    Attributes:
        path: The file.
        folder: Which its relative paths start from.
        data: What it holds.
        places: Where each key stands, for messages: `line 7`, or the command line's option.
    """

    path: Path
    folder: Path
    data: dict[str, Any]
    places: Mapping[KeyPath, str]


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> YamlFile:
    """Read a YAML mapping and lay overrides on it.

    Args:
        path: The file.
        overrides: `a.b.c=value` each, the value written as YAML.

    Raises:
        ConfigError: If the file is absent, is not a YAML mapping, repeats a key, or an override
            cannot be laid on it.
    """
    text, folder = read_source(path)
    places: dict[KeyPath, str] = {}
    try:
        data = _load(text, str(path), places)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a version of too many digits
        raise ConfigError(_explain_syntax(str(path), text, error)) from error
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}, line 1: found {type(data).__name__}; allowed: keys with values, "
            "such as `dataset: FOLDER`"
        )
    for override in overrides:
        key, place = _lay_on(data, override)
        kept = {old: line for old, line in places.items() if old[: len(key)] != key}
        places = kept | {key: place}
    return YamlFile(path, folder, data, places)


def _load(text: str, source: str, places: dict[KeyPath, str] | None = None) -> Any:
    """Return what a YAML text holds, and add the place of each key to `places`."""
    loader = ConfigLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        found = dict(_places(source, node))
        if places is not None:
            places.update(found)
        return _unshared(loader.construct_document(node))
    finally:
        loader.dispose()


def _unshared(value: Any) -> Any:
    """Return a copy in which no two places are one object, so that a change is of one place."""
    if isinstance(value, dict):
        return {key: _unshared(child) for key, child in value.items()}
    return [_unshared(child) for child in value] if isinstance(value, list) else value


def _places(source: str, node: yaml.Node, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Walk a YAML tree, yield each key's place, and refuse a key that stands twice."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _places(source, item, (*prefix, "[]"))
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _text_of_key(source, key_node)
        if key in seen:
            raise ConfigError(
                f"{source}, line {line}: found the key '{_shown('.'.join((*prefix, key)))}' a "
                f"second time; allowed: once (first in line {seen[key]})"
            )
        seen[key] = line
        yield (*prefix, key), f"line {line}"
        yield from _places(source, value_node, (*prefix, key))


def _text_of_key(source: str, node: yaml.Node) -> str:
    line, is_scalar = node.start_mark.line + 1, isinstance(node, yaml.ScalarNode)
    if node.tag in _KEY_TAGS and is_scalar:
        return str(node.value)
    key = _shown(str(node.value)) if is_scalar else "of several values"
    raise ConfigError(
        f"{source}, line {line}: found the key {key}; allowed: text, as in '{key}': ..."
    )


def _shown(text: str) -> str:
    """Return a key or value as one line that is not too long."""
    return shortened(visible_line(text))


def _explain_syntax(source: str, text: str, error: Exception) -> str:
    """Say in one line where a text stops being YAML that a config may hold."""
    mark, place = getattr(error, "problem_mark", None), source
    if mark is not None:
        place = f"{source}, line {mark.line + 1}, column {mark.column + 1}"
    elif isinstance(error, yaml.reader.ReaderError):
        number = text.count("\n", 0, int(error.position)) + 1
        return f"{source}, line {number}: found the character {_character(error)}; allowed: text"
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    problem = problem.removeprefix("but ").removeprefix("found ")
    return f"{place}: found {visible_line(problem)}; allowed: valid YAML"


def _character(error: yaml.reader.ReaderError) -> str:
    return f"U+{int(error.character):04X}"


def _lay_on(data: dict[str, Any], override: str) -> tuple[KeyPath, str]:
    """Write one override into the data; return its key and the key's place."""
    name, separator, text = override.partition("=")
    keys = tuple(name.strip().split("."))
    if not separator or not all(keys):
        raise ConfigError(
            f"--set: found '{_shown(override)}'; allowed: KEY.KEY=VALUE, as train.epochs=5"
        )
    place = f"--set {_shown(name)}"
    try:
        value = _load(text, place)
    except (yaml.YAMLError, ValueError) as error:
        reason = _explain_syntax("", text, error).partition("found ")[2].partition(";")[0]
        raise ConfigError(
            f"{place}: found '{_shown(text)}' ({reason}); allowed: a YAML value"
        ) from error
    target = data
    for depth, key in enumerate(keys[:-1], start=1):
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(
                f"{place}: found a single value at '{_shown('.'.join(keys[:depth]))}'; "
                "allowed: keys with values there"
            )
    target[keys[-1]] = value
    return keys, place
