"""The study `parts`: the config without one of the model's parts, or with another in its place.

- Weights: `without intra` has nothing to leave out where a modality has one expert, which has one
  view. `without inter` keeps the scale of weighed modalities; `plain sum` is as large as its parts
  together.
- Negatives: `without EGNS` tells what the weighing adds, as all else stays. `uniform negatives`
  draws `train.negatives.num` entities for each triple instead of scoring all, so it tells what the
  whole scheme adds to what is usual. Where the config draws uniformly itself, the two are the same.
- Rules are no part of the loss, so without them the rest is trained alike. They go with the
  learned rows.
"""

from collections.abc import Callable

from flows.configs.changes import Changes, changed
from flows.configs.pipeline_config import PipelineConfig
from mocme.ablation.definitions import MODALITY, Study, Variant, VariantOfEach
from mocme.ablation.idle import no_modality, nothing_fused, num_own
from mocme.ablation.single_modality import single


def _one_modality(config: PipelineConfig) -> str | None:
    return None if len(config.modalities) > 1 else "the config has not two modalities"


def _no_rows(config: PipelineConfig) -> str | None:
    return None if config.model.structure else "the config has no learned rows"


def _not_cmkf(config: PipelineConfig) -> str | None:
    fusion = config.model.fusion
    return None if fusion == "cmkf" else f"the config's fusion is {fusion}, not cmkf"


def _one_view(config: PipelineConfig) -> str | None:
    reason = "a modality of one expert has one view" if config.model.num_experts == 1 else None
    return _not_cmkf(config) or no_modality(config) or reason


def _none_beside_it(config: PipelineConfig) -> str | None:
    reason = "there is nothing to weigh against" if num_own(config) < 2 else None
    return _not_cmkf(config) or no_modality(config) or reason


def _no_relevance(config: PipelineConfig) -> str | None:
    return _not_cmkf(config) or nothing_fused(config)


def _part(
    about: str, changes: Changes, idle: Callable[[PipelineConfig], str | None] = lambda config: None
) -> Variant:
    """Return a variant by what it changes; `idle` tells why that would change no training."""
    return Variant(about, lambda config: idle(config) or changed(config, changes))


def _left_out(config: PipelineConfig, modality: str) -> PipelineConfig | str:
    others = [name for name in config.modalities if name != modality]
    return changed(config, {}, modalities=others) if others else "it is the only modality"


PARTS: Study = {
    "without intra": _part(
        "the views of a modality are added up, not weighed",
        {"model": {"fusion": "cmkf_inter"}},
        _one_view,
    ),
    "without inter": _part(
        "modalities are added up with equal weights",
        {"model": {"fusion": "cmkf_intra"}},
        _none_beside_it,
    ),
    "plain sum": _part(
        "neither views nor modalities are weighed", {"model": {"fusion": "sum"}}, nothing_fused
    ),
    "without relevance": _part(
        "weights by complementarity alone, the published form",
        {"model": {"fusion": "cmkf_plain"}},
        _no_relevance,
    ),
    "without the fused block": _part(
        "no embedding of all modalities, only scores of each",
        {"model": {"fusion": "late"}},
        _one_modality,
    ),
    "without blocks of single modalities": _part(
        "only the fused embedding, no scores of each modality",
        {"model": {"alone": False}},
        _one_modality,
    ),
    "without neighbours' content": _part(
        "an entity reads its own modalities only", {"model": {"neighbours": False}}, no_modality
    ),
    "without context": _part(
        "the neighbours' learned rows are not scored", {"model": {"context": False}}, _no_rows
    ),
    "without rules": _part("no rules are mined", {"model": {"rule_length": 0}}, _no_rows),
    "without structure and context": _part(
        "no learned rows, and no rules, which go with them",
        {"model": {"structure": False}},
        no_modality,
    ),
    "without EGNS": _part(
        "every negative weighs the same", {"train": {"negatives": {"weighting": "none"}}}
    ),
    "uniform negatives": _part(
        "negatives are drawn uniformly for each triple and weigh the same",
        {"train": {"negatives": {"mode": "sampled", "sampler": "uniform", "weighting": "none"}}},
    ),
    "self-adversarial": _part(
        "negatives are weighed by their scores",
        {"train": {"negatives": {"weighting": "self_adversarial"}}},
    ),
    "3 experts": _part(
        "three experts for each modality", {"model": {"num_experts": 3}}, no_modality
    ),
    "float32": _part("matrix products in float32", {"train": {"dtype": "float32"}}),
    "structure only": Variant(
        "no modality; learned rows, and context and rules if the config has them",
        lambda config: changed(config, {"model": {"structure": True}}, modalities=()),
    ),
    f"{MODALITY} alone": VariantOfEach(
        f"only {MODALITY}, and learned rows for entities that lack it", single
    ),
    f"without {MODALITY}": VariantOfEach(f"all but {MODALITY}", _left_out),
}
