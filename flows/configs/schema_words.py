"""What a field of a config allows, in words, from its JSON schema; no bound is written twice."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "multiples of",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
}


def bounds_in_words(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the bounds of a number, as `at least 1`."""
    for key, words in _BOUNDS.items():
        if key in schema:
            yield f"{words} {_number(schema[key])}"


def allowed_in_words(schema: Mapping[str, Any]) -> str:
    """Return what a schema without references allows, as `whole number, at least 1`."""
    if "anyOf" in schema:
        choices = dict.fromkeys(map(allowed_in_words, schema["anyOf"]))
        return ("; or " if any("," in it for it in choices) else " or ").join(choices)
    if "enum" in schema:
        return " or ".join(map(_value, schema["enum"]))
    if "const" in schema:
        return _value(schema["const"])
    if schema.get("format") == "path":
        return "path"
    if schema.get("type") == "array":
        least = " (at least one)" if schema.get("minItems") else ""
        return f"list of {allowed_in_words(schema.get('items', {}))}{least}"
    words = [_TYPES.get(schema.get("type", ""), "anything"), *bounds_in_words(schema)]
    return ", ".join(words)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: float) -> str:
    """Write a bound with all its digits, large ones as a power where they are next to one."""
    if isinstance(value, int) or value.is_integer():
        whole = int(value)
        is_near_power = whole > 1 << 32 and (whole + 1).bit_count() == 1
        return f"2^{whole.bit_length()} - 1" if is_near_power else f"{whole}"
    return repr(value)
