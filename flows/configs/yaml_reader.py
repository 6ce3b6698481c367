"""Strict reading of a YAML config: duplicate keys are refused and every key knows its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from storage.errors import MocmeError

KeyPath = tuple[str, ...]

_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


class ConfigError(MocmeError):
    """A config that cannot be used as it is written; one line for each problem."""


@dataclass(frozen=True)
class YamlFile:
    """A config file's content.

    Attributes:
        path: The file.
        data: What it holds.
        places: Where each key stands, for messages: `line 7`, or the command line's option.
    """

    path: Path
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
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        places = dict(_places(path, node)) if node else {}
        data = yaml.safe_load(path.read_text(encoding="utf-8")) if node else {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise ConfigError(f"{path}: found {reason}; allowed: a readable YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(_explain_syntax(path, error)) from error
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}, line 1: found {type(data).__name__}; allowed: keys with values, "
            "such as `dataset: FOLDER`"
        )
    for override in overrides:
        key, place = _lay_on(data, override)
        kept = {old: line for old, line in places.items() if old[: len(key)] != key}
        places = kept | {key: place}
    return YamlFile(path, data, places)


def _places(path: Path, node: yaml.Node, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Walk a YAML tree, yield each key's place, and refuse a key that stands twice."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key_node.tag not in _KEY_TAGS:
            raise ConfigError(
                f"{path}, line {line}: found the key {key}; allowed: text, as in '{key}': ..."
            )
        if key in seen:
            raise ConfigError(
                f"{path}, line {line}: found the key '{'.'.join((*prefix, key))}' a second time; "
                f"allowed: once (first in line {seen[key]})"
            )
        seen[key] = line
        yield (*prefix, key), f"line {line}"
        yield from _places(path, value_node, (*prefix, key))


def _explain_syntax(path: Path, error: yaml.YAMLError) -> str:
    """Say in one line where a file stops being YAML."""
    mark = getattr(error, "problem_mark", None)
    place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    return f"{place}: found {problem.removeprefix('found ')}; allowed: valid YAML"


def _lay_on(data: dict[str, Any], override: str) -> tuple[KeyPath, str]:
    """Write one override into the data; return its key and the key's place."""
    name, separator, text = override.partition("=")
    keys = tuple(name.strip().split("."))
    if not separator or not all(keys):
        raise ConfigError(f"--set: found '{override}'; allowed: KEY.KEY=VALUE, as train.epochs=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {name}: found '{text}'; allowed: a YAML value") from error
    target = data
    for depth, key in enumerate(keys[:-1], start=1):
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(
                f"--set {name}: found a single value at '{'.'.join(keys[:depth])}'; "
                "allowed: keys with values there"
            )
    target[keys[-1]] = value
    return keys, f"--set {name}"
