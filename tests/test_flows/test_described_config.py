"""Every key of a config is explained by its class: sentence, default and bounds."""

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from extractors.registry import load_extractor_class, names
from flows.configs.described import (
    config_keys,
    description_of,
    option_keys,
    section_descriptions,
    section_in,
)
from flows.configs.pipeline_config import ModalityConfig, PipelineConfig
from flows.configs.schema_words import allowed_in_words
from storage.datasets.relation_types.statement import StatedRelationType


def sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a class of the config and those of the sections in it."""
    yield section
    for info in section.model_fields.values():
        if (inner := section_in(info)) is not None:
            yield from sections(inner)


CLASSES = [
    *sections(PipelineConfig),
    ModalityConfig,
    StatedRelationType,
    *(load_extractor_class(name).Config for name in names()),
]


@pytest.mark.parametrize("section", CLASSES, ids=lambda it: it.__name__)
def test_every_field_has_a_sentence(section: type[BaseModel]) -> None:
    for name, info in section.model_fields.items():
        sentence = description_of(info)
        assert re.fullmatch(r"(?s)[A-Z].{8,}\.", sentence), (
            f"{section.__name__}.{name}: found the description {sentence!r}; allowed: a sentence "
            "of plain English, from a capital letter to a full stop"
        )


def test_no_key_is_left_out() -> None:
    keys = {key.key for key in config_keys()}
    assert {"dataset", "modalities.NAME.max_items", "train.negatives.egns.hard_weight"} <= keys
    assert {f"relation_types.NAME.{it}" for it in StatedRelationType.model_fields} <= keys
    own = {(key.extractor, key.key) for key in config_keys() if key.extractor}
    for extractor in names():
        for option in load_extractor_class(extractor).Config.model_fields:
            assert (extractor, f"modalities.NAME.{option}") in own
    assert len(config_keys()) == len({(key.extractor, key.key) for key in config_keys()})
    assert {key.section for key in config_keys()} - {
        "modalities.NAME",
        "relation_types.NAME",
        "",
    } <= set(section_descriptions())


@pytest.mark.parametrize(
    ("key", "allowed", "default"),
    [
        ("train.epochs", "whole number, at least 1, at most 100000", 50),
        ("train.seed", "whole number, at least 0, at most 2^63 - 1", 0),
        ("train.learning_rate", "number, more than 0, at most 10", 0.1),
        ("train.processes", "whole number, at least 1, at most 1024; or auto", 1),
        ("train.optimizer", "adagrad or adam", "adagrad"),
        ("predict.relations", "all or list of text", "all"),
        ("store", "path", "data/features"),
        ("extract.cluster", "text or null", None),
    ],
)
def test_bounds_and_defaults_are_the_classes_own(key: str, allowed: str, default: object) -> None:
    found = next(it for it in config_keys() if it.key == key)
    assert (found.allowed, found.default) == (allowed, default)


def test_a_required_key_says_so() -> None:
    assert [key.key for key in config_keys() if key.is_required and not key.extractor] == [
        "dataset",
        "modalities.NAME.extractor",
    ]
    assert next(key for key in option_keys("imported") if key.key.endswith(".file")).is_required


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "number", "exclusiveMinimum": 0.25}, "number, more than 0.25"),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "list of text (at least one)",
        ),
        ({"enum": ["a", 2, True]}, "a or 2 or true"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "whole number or null"),
    ],
)
def test_words_of_a_schema(schema: dict[str, object], words: str) -> None:
    assert allowed_in_words(schema) == words
