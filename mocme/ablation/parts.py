"""The study `parts`: the config without one of the model's parts, or with another in its place.

- `without intra`: the views of a modality are added up, not weighed. One expert has one view, so
  there is nothing to leave out.
- `without inter`: modalities are added up with equal weights, on the scale of weighed ones;
  `plain sum` weighs neither views nor modalities, and is as large as its parts together.
- `without relevance`: weights by complementarity alone, the published form.
- `without EGNS`: every negative weighs the same, and all else stays, so it tells what the weighing
  adds. `uniform negatives`: `train.negatives.num` entities are drawn uniformly for each triple
  instead of all being scored, and weigh the same; it tells what the whole scheme adds to what is
  usual. Where the config draws uniformly itself, the two are the same.
- `without rules`: none are mined. They are no part of the loss, so the rest is trained alike.
- `without structure and context`: no learned rows, and no rules, which go with them.
- `structure only`: no modality; the learned rows, and context and rules if the config has them.
- `<modality> alone`: that modality, and a learned row only for entities that lack it.
- `without <modality>`: all of the config but that modality.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flows.configs.changes import Changes, changed
from flows.configs.pipeline_config import PipelineConfig
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


@dataclass(frozen=True)
class _Part:
    """A change, and what tells why it would change nothing that is trained."""

    changes: Changes
    idle: Callable[[PipelineConfig], str | None] = lambda config: None


_PARTS: Mapping[str, _Part] = {
    "without intra": _Part({"model": {"fusion": "cmkf_inter"}}, _one_view),
    "without inter": _Part({"model": {"fusion": "cmkf_intra"}}, _none_beside_it),
    "plain sum": _Part({"model": {"fusion": "sum"}}, nothing_fused),
    "without relevance": _Part({"model": {"fusion": "cmkf_plain"}}, _no_relevance),
    "without the fused block": _Part({"model": {"fusion": "late"}}, _one_modality),
    "without blocks of single modalities": _Part({"model": {"alone": False}}, _one_modality),
    "without neighbours' content": _Part({"model": {"neighbours": False}}, no_modality),
    "without context": _Part({"model": {"context": False}}, _no_rows),
    "without rules": _Part({"model": {"rule_length": 0}}, _no_rows),
    "without structure and context": _Part({"model": {"structure": False}}, no_modality),
    "without EGNS": _Part({"train": {"negatives": {"weighting": "none"}}}),
    "uniform negatives": _Part(
        {"train": {"negatives": {"mode": "sampled", "sampler": "uniform", "weighting": "none"}}}
    ),
    "self-adversarial": _Part({"train": {"negatives": {"weighting": "self_adversarial"}}}),
    "3 experts": _Part({"model": {"num_experts": 3}}, no_modality),
    "float32": _Part({"train": {"dtype": "float32"}}),
}


def part_variants(config: PipelineConfig) -> dict[str, PipelineConfig | str]:
    """Return what the study compares a config with, by name, or why there is no such variant."""
    kept = {name: part.idle(config) for name, part in _PARTS.items()}
    return {
        **{name: kept[name] or changed(config, part.changes) for name, part in _PARTS.items()},
        "structure only": changed(config, {"model": {"structure": True}}, modalities=()),
        **{f"{name} alone": single(config, name) for name in config.modalities},
        **{_without(name): _left_out(config, name) for name in config.modalities},
    }


def _without(modality: str) -> str:
    """Name the variant that lacks a modality, which may be called as one of the parts is."""
    name = f"without {modality}"
    return f"without modality {modality}" if name in _PARTS else name


def _left_out(config: PipelineConfig, modality: str) -> PipelineConfig | str:
    others = [name for name in config.modalities if name != modality]
    return changed(config, {}, modalities=others) if others else "it is the only modality"
