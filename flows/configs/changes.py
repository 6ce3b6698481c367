"""A config with some of its values changed, or some of its modalities left out."""

from collections.abc import Collection, Mapping
from functools import reduce
from typing import Any

from flows.configs.pipeline_config import PipelineConfig

Changes = Mapping[str, Mapping[str, Any]]
"""New values by section and key."""


def changed(
    config: PipelineConfig, changes: Changes, modalities: Collection[str] | None = None
) -> PipelineConfig:
    """Return a config with new values; `modalities`: which to keep, None = all."""
    data = config.model_dump()
    for section, values in changes.items():
        data[section] = _merged(data[section], values)
    if modalities is not None:
        data["modalities"] = {
            name: entry for name, entry in data["modalities"].items() if name in modalities
        }
        data["model"]["attend"] = [
            name for name in data["model"]["attend"] if name in data["modalities"]
        ]
    return PipelineConfig.model_validate(data)


def with_values(config: PipelineConfig, values: Mapping[str, Any]) -> PipelineConfig:
    """Return a config with new values by key, as `train.learning_rate`."""
    data = config.model_dump()
    for key, value in values.items():
        *sections, name = key.split(".")
        reduce(dict.__getitem__, sections, data)[name] = value
    return PipelineConfig.model_validate(data)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay new values over old ones, section by section."""
    return {
        **old,
        **{
            key: _merged(old[key], value) if isinstance(value, Mapping) else value
            for key, value in new.items()
        },
    }
