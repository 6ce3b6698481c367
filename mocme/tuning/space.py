"""The search space: which fields are varied, and between which values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from flows.configs.pipeline_config import PipelineConfig
from mocme.tuning.fields import TunableField, tunable_fields
from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean


class TuningError(MocmeError):
    """A tuning that cannot be done as asked."""


@dataclass(frozen=True)
class Numbers:
    """Numbers from `low` to `high`, both included; `step`: of whole numbers, None = any number."""

    low: float
    high: float
    step: int | None
    log: bool


@dataclass(frozen=True)
class Choices:
    """One of these."""

    values: tuple[Any, ...]


Space = Mapping[str, Numbers | Choices]
"""Where to search, by key."""


def search_space(config: PipelineConfig, over: Sequence[str] = ()) -> dict[str, Numbers | Choices]:
    """Return where to search.

    Args:
        config: What is tuned; by default its fields that nothing depends on are not varied.
        over: `KEY`, `KEY=LOW..HIGH` or `KEY=VALUE,VALUE` each; empty: the fields whose class says
            so.

    Raises:
        TuningError: If there is no such field, or its class does not allow what was asked for.
    """
    fields = tunable_fields()
    if not over:
        asked = [key for key, field in fields.items() if field.range and field.range.by_default]
        return {key: _usual(fields[key]) for key in asked if not _is_idle(key, config)}
    space: dict[str, Numbers | Choices] = {}
    for words in over:
        key, _, values = (word.strip() for word in words.partition("="))
        if key not in fields:
            raise TuningError(
                f"--over: found the field '{key}'{did_you_mean(key, fields)}; "
                f"allowed: {', '.join(fields)}"
            )
        space[key] = _asked(fields[key], values) if values else _usual(fields[key])
    return space


def _is_idle(key: str, config: PipelineConfig) -> bool:
    """Whether a field plays no part in what is trained."""
    model = config.model
    needs = {
        "model.feature_dropout": bool(config.modalities),
        "model.neighbour_dropout": bool(config.modalities) and model.neighbours,
        "train.n3_weight": model.structure,
    }
    return not needs.get(key, True)


def _usual(field: TunableField) -> Numbers | Choices:
    """Return the range that the class declares."""
    if field.kind == "choice":
        return Choices(field.choices)
    if field.range is None:
        raise TuningError(
            f"--over: found '{field.key}' without a range; allowed: {field.key}=LOW..HIGH, "
            f"{field.bounds}"
        )
    step = field.step if field.kind == "integer" else None
    return Numbers(field.range.low, field.range.high, step, field.range.log)


def _asked(field: TunableField, values: str) -> Numbers | Choices:
    """Return the range that the user gave."""
    if field.kind == "choice":
        allowed = {_shown(choice): choice for choice in field.choices}
        words = [word.strip() for word in values.split(",")]
        for word in words:
            if word not in allowed:
                raise TuningError(
                    f"--over {field.key}: found '{word}'{did_you_mean(word, allowed)}; "
                    f"allowed: some of {', '.join(allowed)}"
                )
        return Choices(tuple(allowed[word] for word in words))
    low, high = _numbers(field, values)
    is_log = field.range is not None and field.range.log
    if not (field.holds(low) and field.holds(high) and low <= high and isfinite(high)):
        raise _outside(field, values, field.bounds)
    if is_log and low <= 0:
        raise _outside(field, values, f"{field.bounds}, and above 0, as its scale is logarithmic")
    return Numbers(low, high, field.step if field.kind == "integer" else None, is_log)


def _numbers(field: TunableField, values: str) -> tuple[float, float]:
    """Read LOW..HIGH."""
    kind = int if field.kind == "integer" else float
    try:
        low, high = (kind(word) for word in values.split(".."))
    except ValueError:
        raise _outside(field, values, field.bounds) from None
    return low, high


def _outside(field: TunableField, values: str, bounds: str) -> TuningError:
    return TuningError(
        f"--over: found {field.key}={values}; allowed: {field.key}=LOW..HIGH, LOW not above "
        f"HIGH, {bounds}"
    )


def _shown(value: Any) -> str:
    """Return a value as it stands in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)
