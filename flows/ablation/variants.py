"""What an ablation compares: a config, and others that differ from it in one thing.

A study is a question. `fusion`: is there a better way to put modalities together, or does one of
them do as well alone? `parts`: what does each part of the model add?
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from flows.config import PipelineConfig

StudyName = Literal["fusion", "parts"]
Changes = Mapping[str, Mapping[str, Any]]
"""New values by section and key."""

FULL = "full"
"""The config as it is, with which all others are compared."""

_APART: Mapping[str, Changes] = {
    "by complementarity alone": {"model": {"fusion": "cmkf_plain"}},
    "sum": {"model": {"fusion": "sum"}},
    "concatenation and MLP": {"model": {"fusion": "concat_mlp"}},
    "attention": {"model": {"fusion": "attention"}},
    "gate": {"model": {"fusion": "gate"}},
    "late": {"model": {"fusion": "late"}},
}
"""Another fusion, and all else as in the config."""

_PLAIN = {"alone": False, "neighbours": False, "context": False, "joint": True}
_ROWS_HELD = 30.0
"""Penalty at which learned rows add to features and do not drown them (docs/model.md)."""
_JOINT: Mapping[str, Changes] = {
    f"{name}, one embedding{suffix}": {"model": {**_PLAIN, **changes["model"]}, **training}
    for name, changes in _APART.items()
    if changes["model"]["fusion"] in ("sum", "concat_mlp", "attention", "gate")
    for suffix, training in (("", {}), (", rows held", {"train": {"n3_weight": _ROWS_HELD}}))
}
"""As the field has it: modalities and a learned row fused to one embedding, and nothing else."""

_LATE = {"model": {"alone": True, "neighbours": False, "context": False, "fusion": "late"}}
"""A mixture of the scores of single modalities and learned rows, and nothing else."""

_LEFT_OUT: Mapping[str, Changes] = {
    "relevance": {"model": {"fusion": "cmkf_plain"}},
    "complementarity": {"model": {"fusion": "sum"}},
    "the fused block": {"model": {"fusion": "late"}},
    "blocks of single modalities": {"model": {"alone": False}},
    "neighbours' content": {"model": {"neighbours": False}},
    "context": {"model": {"context": False}},
    "structure and context": {"model": {"structure": False}},
    "EGNS": {"train": {"negatives": {"weighting": "none"}}},
}


def variants_of(config: PipelineConfig, study: StudyName) -> dict[str, PipelineConfig]:
    """Return the configs that a study compares, the given one first, by name."""
    others = _fusions(config) if study == "fusion" else _parts(config)
    return {FULL: config, **others}


def _fusions(config: PipelineConfig) -> dict[str, PipelineConfig]:
    changes = {**_APART, **_JOINT, "late, blocks without neighbours": _LATE}
    return {
        **{name: _changed(config, change) for name, change in changes.items()},
        **{f"{name} alone": _single(config, name) for name in config.modalities},
        **{
            f"{name} and neighbours": _single(config, name, neighbours=True)
            for name in config.modalities
        },
        "structure alone": _changed(config, {"model": {"context": False}}, modalities=()),
    }


def _parts(config: PipelineConfig) -> dict[str, PipelineConfig]:
    without = {f"without {name}": _changed(config, change) for name, change in _LEFT_OUT.items()}
    other: Mapping[str, Changes] = {
        "self-adversarial": {"train": {"negatives": {"weighting": "self_adversarial"}}},
        "3 experts": {"model": {"num_experts": 3}},
        "float32": {"train": {"dtype": "float32"}},
    }
    left_out: dict[str, PipelineConfig] = {}
    if len(config.modalities) > 1:
        left_out = {
            f"without {name}": _changed(
                config, {}, modalities=[kept for kept in config.modalities if kept != name]
            )
            for name in config.modalities
        }
    return {
        **without,
        **left_out,
        **{name: _changed(config, change) for name, change in other.items()},
    }


def _single(config: PipelineConfig, modality: str, *, neighbours: bool = False) -> PipelineConfig:
    """One modality, and a learned row only for entities that lack it."""
    model = {"structure": False, "neighbours": neighbours, "fallback_rows": True}
    return _changed(config, {"model": model}, modalities=[modality])


def _changed(
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


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Lay new values over old ones, section by section."""
    return {
        **old,
        **{
            key: _merged(old[key], value) if isinstance(value, Mapping) else value
            for key, value in new.items()
        },
    }
