"""No option of the model is there for nothing: another value gives another model."""

from pathlib import Path
from typing import Any, get_args

import pytest
from planted_graph import World, planted_world
from safetensors.torch import load_file
from small_training import losses_of, model_config, same_tensors, train_config

from model.config import FusionName, ModelConfig, ScorerName, TrainConfig
from model.evaluation.evaluate import evaluate_run
from model.training.train import train

# What the plain run has beside SMALL_MODEL and SMALL_TRAIN, and another value of every option.
PLAIN_MODEL = {"alone": True, "context": True, "modality_dropout": 0.1}
OTHER_MODEL: dict[str, Any] = {
    "dim": 10,
    "num_experts": 3,
    "scorer": "distmult",
    "fusion": "sum",
    "complementarity": "infonce",
    "structure": False,
    "ensemble_size": 2,
    "joint": True,
    "alone": False,
    "context": False,
    "neighbours": False,
    "fallback_rows": True,
    "feature_dropout": 0.1,
    "modality_dropout": 0.5,
    "neighbour_dropout": 0.9,
}
OTHER_TRAIN: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 32,
    "answers_at_once": 2,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "n3_weight": 1.0,
    "inverse_relations": False,
    "held_back": 0.3,
    "held_back_epochs": 1,
    "negatives": {"mode": "sampled"},
    "seed": 7,
    "dtype": "bfloat16",
}
NEED_STRENGTHS = {"complementarity", "neighbour_dropout"}
ONE_VIEW = {"num_experts": 1}  # of each modality: fewer pairs to measure
DECIDE_WHEN_TO_STOP_AND_WHERE = {
    *("select_on", "eval_every", "patience", "device", "processes"),
    "final",  # test_final.py
}


def run(world: World, run_dir: Path, model: dict[str, Any], training: dict[str, Any]) -> Path:
    config = train_config(**{"epochs": 2, "batch_size": 256, **training})
    train(world.graph, world.tables(), model_config(**{**PLAIN_MODEL, **model}), config, run_dir)
    return run_dir


@pytest.fixture(scope="module")
def large() -> World:
    """Enough entities for complementarity to be measured."""
    return planted_world(num_things=230, absent=0.05)


@pytest.fixture(scope="module")
def plain(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(world, tmp_path_factory.mktemp("options") / "plain", {}, {})


@pytest.fixture(scope="module")
def large_plain(large: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(large, tmp_path_factory.mktemp("options") / "plain", ONE_VIEW, {})


def differs(first: Path, second: Path) -> bool:
    name = "scoring.safetensors"
    return losses_of(first) != losses_of(second) and not same_tensors(
        load_file(first / name), load_file(second / name)
    )


def test_every_option_is_tried() -> None:
    assert {*OTHER_MODEL, *NEEDS_SEVERAL_ITEMS, *NO_PART_OF_THE_LOSS, "temperature"} == set(
        ModelConfig.model_fields
    )
    assert set(OTHER_TRAIN) | DECIDE_WHEN_TO_STOP_AND_WHERE == set(TrainConfig.model_fields)


NEEDS_SEVERAL_ITEMS = {"attend"}  # test_item_attention.py
NO_PART_OF_THE_LOSS = {"rule_length"}  # test_rules.py


@pytest.mark.parametrize("option", sorted(OTHER_MODEL.keys() - NEED_STRENGTHS))
def test_options_of_the_model(world: World, plain: Path, tmp_path: Path, option: str) -> None:
    assert differs(plain, run(world, tmp_path, {option: OTHER_MODEL[option]}, {}))


@pytest.mark.parametrize("option", sorted(NEED_STRENGTHS))
def test_options_of_strengths(large: World, large_plain: Path, tmp_path: Path, option: str) -> None:
    changed = {**ONE_VIEW, option: OTHER_MODEL[option]}
    assert differs(large_plain, run(large, tmp_path, changed, {}))


@pytest.mark.parametrize("option", OTHER_TRAIN)
def test_options_of_the_training(world: World, plain: Path, tmp_path: Path, option: str) -> None:
    assert differs(plain, run(world, tmp_path, {}, {option: OTHER_TRAIN[option]}))


def test_temperature_of_the_plain_form(large: World, tmp_path: Path) -> None:
    """Two that are weighed share the same with each other, at any temperature."""
    of_three_views = {"fusion": "cmkf_plain", "num_experts": 3}
    runs = [
        run(large, tmp_path / str(value), {**of_three_views, "temperature": value}, {})
        for value in (0.1, 1.0)
    ]
    assert differs(*runs)


@pytest.mark.parametrize("fusion", get_args(FusionName))
def test_every_fusion_learns_and_is_saved(large: World, tmp_path: Path, fusion: str) -> None:
    folder = run(large, tmp_path, {"fusion": fusion}, {"epochs": 3})
    first, *_, last = losses_of(folder)
    assert last < first
    assert 0 < evaluate_run(folder)["test"]["mrr"] <= 1


@pytest.mark.parametrize("scorer", get_args(ScorerName))
def test_every_scorer_learns_and_is_saved(world: World, tmp_path: Path, scorer: str) -> None:
    folder = run(world, tmp_path, {"scorer": scorer}, {"epochs": 6})
    first, *_, last = losses_of(folder)
    assert last < first
    assert evaluate_run(folder)["test"]["mrr"] > 0.2
