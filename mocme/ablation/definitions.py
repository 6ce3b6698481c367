"""What a study is made of: variants, each with a phrase on it and how it is made from a config."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flows.configs.pipeline_config import PipelineConfig

MODALITY = "<modality>"
"""Stands in the name of a variant for each modality of the config."""

Made = PipelineConfig | str
"""A variant of a config, or why there is none."""


@dataclass(frozen=True)
class Variant:
    """A config with one thing changed.

    Attributes:
        about: A phrase on what is changed.
        make: Makes it from a config.
    """

    about: str
    make: Callable[[PipelineConfig], Made]


@dataclass(frozen=True)
class VariantOfEach:
    """A variant for each modality of a config.

    Attributes:
        about: A phrase on what is changed.
        make: Makes it from a config and the name of a modality.
    """

    about: str
    make: Callable[[PipelineConfig, str], Made]


@dataclass(frozen=True)
class Named:
    """A variant of a config, or why there is none, and the phrase on it."""

    made: Made
    about: str


Study = Mapping[str, Variant | VariantOfEach]
"""Variants by name; the name of a variant of each modality holds `MODALITY`."""


def made_by(study: Study, config: PipelineConfig) -> dict[str, Named]:
    """Return the variants of a config, by name, and why there is none of some."""
    return dict(_made_by(study, config))


def _made_by(study: Study, config: PipelineConfig) -> Iterator[tuple[str, Named]]:
    for name, variant in study.items():
        if isinstance(variant, Variant):
            yield name, Named(variant.make(config), variant.about)
            continue
        for modality in config.modalities:
            about = variant.about.replace(MODALITY, modality)
            yield _named(name, modality, study), Named(variant.make(config, modality), about)


def _named(name: str, modality: str, study: Study) -> str:
    """Name a variant of a modality, which may be called as a part of the model is."""
    named = name.replace(MODALITY, modality)
    return name.replace(MODALITY, f"modality {modality}") if named in study else named
