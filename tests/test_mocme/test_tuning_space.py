"""What `mocme tune` may search: what the config's classes say, or less."""

from pathlib import Path

import pytest

from flows.configs.changes import with_values
from flows.configs.pipeline_config import PipelineConfig
from mocme.tuning.fields import TunableField, tunable_fields, value_of
from mocme.tuning.space import Choices, Numbers, TuningError, search_space

FIELDS = tunable_fields()
WITH_A_RANGE = [field for field in FIELDS.values() if field.range is not None]


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    modalities = {"text": {"extractor": "text_hash"}}
    return PipelineConfig.model_validate({"dataset": tmp_path, "modalities": modalities})


@pytest.mark.parametrize("field", WITH_A_RANGE, ids=lambda field: field.key)
def test_a_declared_range_is_one_the_class_allows(
    field: TunableField, config: PipelineConfig
) -> None:
    assert field.range is not None
    assert field.range.low < field.range.high
    assert field.range.low > 0 or not field.range.log
    for end in (field.range.low, field.range.high):
        assert value_of(with_values(config, {field.key: end}), field.key) == end


def test_the_usual_fields_hold_what_the_config_has(config: PipelineConfig) -> None:
    space = search_space(config)
    assert {"train.learning_rate", "train.n3_weight", "model.dim", "train.batch_size"} <= set(space)
    for key, where in space.items():
        assert isinstance(where, Numbers)
        assert where.low <= value_of(config, key) <= where.high


def test_what_plays_no_part_is_not_varied_unless_asked_for(tmp_path: Path) -> None:
    structure_only = PipelineConfig(dataset=tmp_path)
    assert not any("dropout" in key for key in search_space(structure_only))
    assert "model.feature_dropout" in search_space(structure_only, ["model.feature_dropout"])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("model.dim=100..400", Numbers(100, 400, 2, log=False)),
        ("train.learning_rate=0.01..0.2", Numbers(0.01, 0.2, None, log=True)),
        ("train.negatives.num", Numbers(32, 1024, 1, log=True)),
        ("train.patience=2..9", Numbers(2, 9, 1, log=False)),
        ("model.alone", Choices((False, True))),
        ("model.scorer=rotate, complex", Choices(("rotate", "complex"))),
        ("train.negatives.weighting=none,egns", Choices(("none", "egns"))),
    ],
)
def test_what_is_asked_for(config: PipelineConfig, asked: str, found: Numbers | Choices) -> None:
    assert list(search_space(config, [asked]).values()) == [found]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("train.lerning_rate", "(did you mean 'train.learning_rate'?); allowed: model.dim, "),
        ("model.attend", "found the field 'model.attend'"),
        ("model.dim=100..5000", "whole numbers, at least 2, at most 4096, multiples of 2"),
        ("model.dim=101..400", "multiples of 2"),
        ("model.dim=400..100", "LOW not above HIGH"),
        ("model.dim=100.5..200", "whole numbers"),
        ("model.dim=100", "allowed: model.dim=LOW..HIGH"),
        ("train.learning_rate=0..1", "more than 0, at most 10"),
        ("train.learning_rate=nan..1", "more than 0, at most 10"),
        ("train.n3_weight=1..inf", "at least 0"),
        ("train.n3_weight=0..1", "above 0, as its scale is logarithmic"),
        ("model.feature_dropout=0..1", "less than 1"),
        ("train.patience", "without a range; allowed: train.patience=LOW..HIGH, whole numbers"),
        ("model.scorer=compex", "(did you mean 'complex'?); allowed: some of complex, rotate"),
        ("model.alone=true,yes", "found 'yes'; allowed: some of false, true"),
    ],
)
def test_what_is_not_allowed(config: PipelineConfig, asked: str, message: str) -> None:
    with pytest.raises(TuningError) as error:
        search_space(config, [asked])
    assert message in str(error.value)
