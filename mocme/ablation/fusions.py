"""The study `fusion`: other ways to put modalities together, and each of them by itself."""

from collections.abc import Mapping

from flows.configs.changes import Changes, changed
from flows.configs.pipeline_config import PipelineConfig
from mocme.ablation.definitions import MODALITY, Study, Variant, VariantOfEach
from mocme.ablation.idle import no_modality, nothing_fused
from mocme.ablation.single_modality import single

_APART: Mapping[str, tuple[str, str]] = {
    "by complementarity alone": ("cmkf_plain", "weights by complementarity, without relevance"),
    "sum": ("sum", "modalities are added up"),
    "concatenation and MLP": ("concat_mlp", "modalities are joined and go through an MLP"),
    "attention": ("attention", "modalities are weighed by learned attention"),
    "gate": ("gate", "modalities are weighed by a learned gate"),
    "late": ("late", "no fused embedding, only the scores of modalities are mixed"),
}
"""Another fusion, with a phrase on it, and all else as in the config."""

_ROWS = {"context": False, "rule_length": 0}
"""Of what triples tell, learned rows alone."""
_PLAIN = {"alone": False, "neighbours": False, "joint": True, **_ROWS}
_ROWS_HELD = 30.0
"""Penalty at which learned rows add to features and do not drown them (docs/model.md)."""
_FUSED_TO_ONE = ("sum", "concat_mlp", "attention", "gate")
"""Fusions that the field has for modalities and a learned row: one embedding, nothing else."""
_LATE: Changes = {"model": {"alone": True, "neighbours": False, "fusion": "late", **_ROWS}}


def _fusion(about: str, changes: Changes) -> Variant:
    """Return a variant of another fusion, unless there is nothing to fuse."""

    def make(config: PipelineConfig) -> PipelineConfig | str:
        variant = changed(config, changes)
        return nothing_fused(variant) or variant

    return Variant(about, make)


def _fused_to_one() -> Study:
    return {
        f"{name}, one embedding{suffix}": _fusion(
            f"modalities and learned rows are one embedding, by {fusion}{how}",
            {"model": {**_PLAIN, "fusion": fusion}, **training},
        )
        for name, (fusion, _) in _APART.items()
        if fusion in _FUSED_TO_ONE
        for suffix, how, training in (
            ("", "", {}),
            (", rows held", ", rows kept small", {"train": {"n3_weight": _ROWS_HELD}}),
        )
    }


FUSIONS: Study = {
    **{
        name: _fusion(about, {"model": {"fusion": fusion}})
        for name, (fusion, about) in _APART.items()
    },
    **_fused_to_one(),
    "late, blocks without neighbours": Variant(
        "the scores of single modalities and of learned rows are mixed, nothing else",
        lambda config: no_modality(config) or changed(config, _LATE),
    ),
    f"{MODALITY} alone": VariantOfEach(
        f"only {MODALITY}, and learned rows for entities that lack it", single
    ),
    f"{MODALITY} and neighbours": VariantOfEach(
        f"only {MODALITY}, an entity's own and its neighbours'",
        lambda config, modality: single(config, modality, neighbours=True),
    ),
    "structure alone": Variant(
        "no modality, no context and no rules; learned rows alone",
        lambda config: changed(config, {"model": _ROWS}, modalities=()),
    ),
}
