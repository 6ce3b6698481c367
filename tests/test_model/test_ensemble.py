"""An ensemble: members that learn the same from other random numbers, and answer together."""

import json
from pathlib import Path

import pytest
import torch
from planted_graph import World
from safetensors.torch import load_file
from small_training import model_config, same_tensors, train_config

from model import Predictor
from model.evaluation.evaluate import evaluate_run
from model.runs.run_folder import RunFolder
from model.training.train import train

WHOLE = {"alone": True, "context": True, "rule_length": 2}
NAMES = ["content", "content-image", "content-text", "structure", "context"]


def run(world: World, folder: Path, **changes: object) -> Path:
    model = model_config(**{**WHOLE, **changes})
    train(world.graph, world.tables(), model, train_config(), folder)
    return folder


@pytest.fixture(scope="module")
def three(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(world, tmp_path_factory.mktemp("ensemble") / "run", ensemble_size=3)


def test_every_block_is_there_for_each_member_and_the_rules_once(three: Path) -> None:
    names = [block.name for block in RunFolder(three).read_scoring().blocks]
    assert names == [f"{it}{suffix}" for suffix in ("", "#2", "#3") for it in NAMES] + ["rules"]


def test_the_first_member_is_the_model_alone_bit_by_bit(
    world: World, three: Path, tmp_path: Path
) -> None:
    """Its weights at the end, too, if both kept those of the same epoch."""
    alone = run(world, tmp_path, ensemble_size=1, rule_length=0)
    best = [json.loads((it / "training.json").read_text())["best_epoch"] for it in (alone, three)]
    assert best == [4, 4]
    one, several = (load_file(RunFolder(it).weights) for it in (alone, three))
    assert {name for name in several if not name.startswith("others.")} == set(one)
    assert same_tensors({name: several[name] for name in one}, one)


def test_members_differ(three: Path) -> None:
    weights = load_file(RunFolder(three).weights)
    for name in ("structure.rows", "relations.content", "relations.context"):
        one, two, three_ = (weights[f"{it}{name}"] for it in ("", "others.0.", "others.1."))
        assert not torch.equal(one, two)
        assert not torch.equal(two, three_)


def test_rows_of_all_members_are_penalised(world: World, tmp_path: Path) -> None:
    model = model_config(**WHOLE, ensemble_size=2)
    sizes = []
    for weight in (30.0, 0.0):
        folder = tmp_path / str(weight)
        train(world.graph, world.tables(), model, train_config(n3_weight=weight), folder)
        sizes.append(load_file(RunFolder(folder).weights)["others.0.structure.rows"].abs().mean())
    assert sizes[0] < sizes[1]


def test_answers_say_what_modalities_say_not_members(world: World, three: Path) -> None:
    head, relation, _ = world.graph.test[0].tolist()
    asked = {"head": world.graph.entities[head], "relation": world.graph.relations[relation]}
    for answer in Predictor(three).answers(**asked, k=world.graph.num_entities):
        known = {"image", "text", "neighbours", "structure", "context", "rules", "content"}
        assert set(answer.modality_weights) <= known
        assert sum(answer.modality_weights.values()) == pytest.approx(1, abs=1e-5)


def test_learns(three: Path) -> None:
    assert evaluate_run(three)["test"]["mrr"] > 0.3
