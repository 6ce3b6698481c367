"""The study `fusion`: other ways to put modalities together, and each of them by itself."""

from collections.abc import Mapping

from flows.configs.changes import Changes, changed
from flows.configs.pipeline_config import PipelineConfig
from mocme.ablation.idle import no_modality, nothing_fused
from mocme.ablation.single_modality import single

_APART: Mapping[str, Changes] = {
    "by complementarity alone": {"model": {"fusion": "cmkf_plain"}},
    "sum": {"model": {"fusion": "sum"}},
    "concatenation and MLP": {"model": {"fusion": "concat_mlp"}},
    "attention": {"model": {"fusion": "attention"}},
    "gate": {"model": {"fusion": "gate"}},
    "late": {"model": {"fusion": "late"}},
}
"""Another fusion, and all else as in the config."""

_ROWS = {"context": False, "rule_length": 0}
"""Of what triples tell, learned rows alone."""
_PLAIN = {"alone": False, "neighbours": False, "joint": True, **_ROWS}
_ROWS_HELD = 30.0
"""Penalty at which learned rows add to features and do not drown them (docs/model.md)."""
_JOINT: Mapping[str, Changes] = {
    f"{name}, one embedding{suffix}": {"model": {**_PLAIN, **changes["model"]}, **training}
    for name, changes in _APART.items()
    if changes["model"]["fusion"] in ("sum", "concat_mlp", "attention", "gate")
    for suffix, training in (("", {}), (", rows held", {"train": {"n3_weight": _ROWS_HELD}}))
}
"""As the field has it: modalities and a learned row fused to one embedding, and nothing else."""

_LATE = {"model": {"alone": True, "neighbours": False, "fusion": "late", **_ROWS}}
"""A mixture of the scores of single modalities and learned rows, and nothing else."""


def fusion_variants(config: PipelineConfig) -> dict[str, PipelineConfig | str]:
    """Return what the study compares a config with, by name, or why there is no such variant."""
    return {
        **{name: _fused(config, change) for name, change in {**_APART, **_JOINT}.items()},
        "late, blocks without neighbours": no_modality(config) or changed(config, _LATE),
        **{f"{name} alone": single(config, name) for name in config.modalities},
        **{
            f"{name} and neighbours": single(config, name, neighbours=True)
            for name in config.modalities
        },
        "structure alone": changed(config, {"model": _ROWS}, modalities=()),
    }


def _fused(config: PipelineConfig, changes: Changes) -> PipelineConfig | str:
    variant = changed(config, changes)
    return nothing_fused(variant) or variant
