"""Validation errors of a config in the words of its author: file, place, key, found, allowed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from extractors.registry import load_extractor_class, names
from flows.configs.yaml_reader import KeyPath, YamlFile
from storage.words.suggestion import did_you_mean
from storage.words.visible import shortened, visible_line

_MOST_LINES = 50  # of a message


def explain(error: ValidationError, file: YamlFile, config: type[BaseModel]) -> list[str]:
    """Return one line for each key at fault; of very many, the first, and how many there are.

    Args:
        error: What pydantic found.
        file: The file that was validated.
        config: The class that it was validated against.
    """
    problems: dict[KeyPath, list[Mapping[str, Any]]] = {}
    for problem in error.errors(include_url=False):
        key = _existing_key(problem["loc"], file.data)
        if problem["type"] == "missing":
            key = tuple(str(part) for part in problem["loc"])
        problems.setdefault(key, []).append(dict(problem))
    lines = [
        visible_line(f"{_place(key, file)}: {_describe(key, found, file, config)}")
        for key, found in islice(problems.items(), _MOST_LINES)
    ]
    rest = len(problems) - len(lines)
    return [*lines, f"{file.path}: found {rest} more problems; allowed: none"] if rest else lines


def _existing_key(location: Sequence[str | int], data: Any) -> KeyPath:
    """Cut from a location what pydantic adds to it, such as the names of a union's choices."""
    key: list[str] = []
    for part in location:
        if not (isinstance(part, str) and isinstance(data, dict) and part in data):
            break
        data = data[part]
        key.append(part)
    return tuple(key)


def _place(key: KeyPath, file: YamlFile) -> str:
    """Name the file and the nearest known line, or the overriding option, and the key."""
    name = shortened(".".join(key))
    for length in range(len(key), 0, -1):
        place = file.places.get(key[:length])
        if place is not None:
            return f"{file.path}, {place}, '{name}'"
    return f"{file.path}, '{name}'" if key else str(file.path)


def _describe(
    key: KeyPath, problems: Sequence[Mapping[str, Any]], file: YamlFile, config: type[BaseModel]
) -> str:
    """Say what was found and what is allowed."""
    kind = problems[0]["type"]
    if kind == "missing":
        return "found no such key; allowed: it is required"
    if kind == "extra_forbidden":
        allowed = list(_allowed_keys(key[:-1], file.data, config))
        suggestion = did_you_mean(key[-1], allowed)
        return (
            f"found an unknown key{suggestion}; allowed: {', '.join(allowed)} "
            "(`mocme config --defaults` explains them)"
        )
    if kind == "nothing_to_learn":
        return f"found nothing to learn from; allowed: {problems[0]['msg']}"
    names_the_key = problems[0]["loc"][-1] == "[key]"
    shown = shortened(repr(key[-1] if names_the_key else _value_at(key, file.data)))
    wanted = dict.fromkeys(_wanted(problem) for problem in problems)
    return f"found {shown}; allowed: {' or '.join(wanted)}"


def _wanted(problem: Mapping[str, Any]) -> str:
    """Say what one problem asks for."""
    if problem["type"] in ("model_type", "dict_type"):
        return "keys with values"
    message = str(problem["msg"])
    for beginning in ("Input should be ", "Value error, "):
        message = message.removeprefix(beginning)
    return message


def _value_at(key: KeyPath, data: Any) -> Any:
    for part in key:
        data = data[part]
    return data


def _allowed_keys(key: KeyPath, data: Any, config: type[BaseModel]) -> Iterator[str]:
    """Yield the keys that may stand below `key`."""
    current: type[BaseModel] = config
    for depth, part in enumerate(key):
        if part in current.model_fields:
            current = _model_in(current.model_fields[part].annotation) or current
            if depth == 0 and part == "modalities":
                yield from current.model_fields
                extractor = _value_at(key, data).get("extractor")
                if extractor in names():
                    yield from load_extractor_class(extractor).Config.model_fields
                return
    yield from current.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model class in an annotation, as in `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
