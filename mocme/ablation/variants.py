"""What an ablation compares: a config, and others that differ from it in one thing.

A study is a question. `fusion`: is there a better way to put modalities together, or does one of
them do as well alone? `parts`: what does each part of the model add?
"""

from dataclasses import dataclass, field
from typing import Literal

from flows.configs.pipeline_config import PipelineConfig
from mocme.ablation.definitions import Study, made_by
from mocme.ablation.fusions import FUSIONS
from mocme.ablation.parts import PARTS

StudyName = Literal["fusion", "parts"]

STUDIES: dict[StudyName, Study] = {"fusion": FUSIONS, "parts": PARTS}

FULL = "full"
"""The config as it is, with which all others are compared."""


@dataclass(frozen=True)
class Variants:
    """What a study compares.

    Attributes:
        configs: By name, the given one first; no two are the same.
        left_out: Why a variant is not among them, by its name.
        about: A phrase on each of both, by name.
    """

    configs: dict[str, PipelineConfig]
    left_out: dict[str, str]
    about: dict[str, str] = field(default_factory=dict)


def variants_of(config: PipelineConfig, study: StudyName) -> Variants:
    """Return the configs that a study compares with a given one."""
    found = Variants({FULL: config}, {}, {FULL: "the config as it is"})
    for name, variant in made_by(STUDIES[study], config).items():
        found.about[name] = variant.about
        if isinstance(variant.made, str):
            found.left_out[name] = variant.made
        elif same := [known for known, it in found.configs.items() if it == variant.made]:
            found.left_out[name] = f"the same config as {same[0]}"
        else:
            found.configs[name] = variant.made
    return found
