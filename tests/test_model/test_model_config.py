"""The model's sections of the config, and what importing them costs."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import model
from model.config import EgnsConfig, ModelConfig, NegativesConfig, PredictConfig, TrainConfig

SECTIONS = [ModelConfig, TrainConfig, NegativesConfig, EgnsConfig, PredictConfig]


@pytest.mark.parametrize("section", SECTIONS)
class TestSection:
    """What holds of every section."""

    def test_needs_nothing_and_survives_json(self, section: type[BaseModel]) -> None:
        found = section()
        assert section.model_validate_json(found.model_dump_json()) == found

    def test_refuses_what_it_does_not_know(self, section: type[BaseModel]) -> None:
        with pytest.raises(ValidationError, match="Extra inputs"):
            section.model_validate({"no_such_key": 1})

    def test_is_frozen(self, section: type[BaseModel]) -> None:
        name = next(iter(section.model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section(), name, None)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (ModelConfig, {"dim": 7}),
        (ModelConfig, {"dim": 0}),
        (ModelConfig, {"num_experts": 0}),
        (ModelConfig, {"scorer": "conve"}),
        (ModelConfig, {"temperature": 0}),
        (ModelConfig, {"modality_dropout": 1}),
        (TrainConfig, {"epochs": 0}),
        (TrainConfig, {"batch_size": 0}),
        (TrainConfig, {"learning_rate": -0.1}),
        (TrainConfig, {"n3_weight": float("nan")}),
        (TrainConfig, {"negatives": {"num": 0}}),
        (TrainConfig, {"negatives": {"egns": {"entropy_threshold": 0.7}}}),
        (EgnsConfig, {"hard_weight": -1}),
        (PredictConfig, {"k": 0}),
        (PredictConfig, {"relations": "some"}),
    ],
    ids=str,
)
def test_out_of_bounds(section: type[BaseModel], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section.model_validate(values)


def test_configs_and_reports_are_read_without_torch() -> None:
    program = (
        "import sys, model, model.config, model.runs.epoch_report; print('torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert found.stdout.strip() == "False"


def test_the_package_offers_the_predictor_and_nothing_else() -> None:
    assert model.Predictor.__name__ == "Predictor"
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        _ = model.Trainer
