"""What an ablation compares: a config, and others that differ from it in one thing.

A study is a question. `fusion`: is there a better way to put modalities together, or does one of
them do as well alone? `parts`: what does each part of the model add?
"""

from dataclasses import dataclass
from typing import Literal

from flows.configs.pipeline_config import PipelineConfig
from mocme.ablation.fusions import fusion_variants
from mocme.ablation.parts import part_variants

StudyName = Literal["fusion", "parts"]

FULL = "full"
"""The config as it is, with which all others are compared."""


@dataclass(frozen=True)
class Variants:
    """What a study compares.

    Attributes:
        configs: By name, the given one first; no two are the same.
        left_out: Why a variant is not among them, by its name.
    """

    configs: dict[str, PipelineConfig]
    left_out: dict[str, str]


def variants_of(config: PipelineConfig, study: StudyName) -> Variants:
    """Return the configs that a study compares with a given one."""
    others = fusion_variants(config) if study == "fusion" else part_variants(config)
    found = Variants({FULL: config}, {})
    for name, variant in others.items():
        if isinstance(variant, str):
            found.left_out[name] = variant
        elif same := [known for known, other in found.configs.items() if other == variant]:
            found.left_out[name] = f"the same config as {same[0]}"
        else:
            found.configs[name] = variant
    return found
