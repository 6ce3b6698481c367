"""Complementarity on planted truth: copies, noise, and a modality that alone tells something."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from planted_graph import (
    IMAGE_DIM,
    MAKER,
    NUM_COLOURS,
    NUM_MAKERS,
    NUM_SHAPES,
    TEXT_DIM,
    World,
    planted_world,
)
from planted_graph import feature_table as make_table
from small_training import model_config, train_config

from model.evaluation.evaluate import evaluate_run
from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from model.training.distributed import Processes
from model.training.train import train
from model.training.trainer import Trainer
from storage.features.table import FeatureTable

NUM_THINGS = 260


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world(num_things=NUM_THINGS, absent=0.1)


class Outcome:
    """What a training on some modalities leads to.

    Attributes:
        mrr: On test.
        shares: Each modality's mean share in the things that have all.
        scoring: The trained blocks.
    """

    def __init__(
        self, world: World, tables: Mapping[str, FeatureTable], folder: Path, **model: Any
    ) -> None:
        config = {"alone": True, "structure": False, "neighbours": False, "num_experts": 1}
        train(
            world.graph,
            tables,
            model_config(**{**config, "dim": 32, **model}),
            train_config(epochs=15, eval_every=5, held_back=0.15),
            folder,
        )
        self.mrr = float(evaluate_run(folder)["test"]["mrr"])
        self.scoring = BlockScoring.load(folder / "scoring.safetensors")
        has_all = torch.stack([torch.from_numpy(table.present) for table in tables.values()]).all(0)
        has_all[NUM_THINGS:] = False
        shares = self.scoring.modality_weights[has_all].mean(0).tolist()
        self.shares = dict(zip(self.scoring.modalities, shares, strict=True))


def noise(world: World, dim: int = 32) -> FeatureTable:
    values = np.random.default_rng(5).normal(size=(len(world.image), dim))
    return make_table(values.astype(np.float32), np.ones(len(world.image), dtype=np.bool_))


def sound_of_the_maker(world: World) -> FeatureTable:
    """A modality that shows who made a thing, told by the graph's own answers."""
    graph = world.graph
    triples = np.concatenate([graph.train, graph.valid, graph.test])
    made = triples[triples[:, 1] == MAKER]
    values = np.random.default_rng(6).normal(size=(len(world.image), NUM_MAKERS)) * 0.3
    first_maker = NUM_THINGS + NUM_COLOURS + NUM_SHAPES
    values[made[:, 0], made[:, 2] - first_maker] += 4
    return make_table(values.astype(np.float32), np.ones(len(values), dtype=np.bool_))


@pytest.fixture(scope="module")
def plain_two(world: World, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(world, world.tables(), tmp_path_factory.mktemp("two"))


@pytest.mark.slow
def test_a_copy_hardly_changes_the_others_share(
    world: World, plain_two: Outcome, tmp_path: Path
) -> None:
    tables = world.tables()
    found = Outcome(world, {**tables, "copy": tables["image"]}, tmp_path)
    assert found.shares["text"] == pytest.approx(plain_two.shares["text"], rel=0.05)


@pytest.mark.slow
def test_noise_gains_nothing_and_costs_little(
    world: World, plain_two: Outcome, tmp_path: Path
) -> None:
    found = Outcome(world, {**world.tables(), "noise": noise(world)}, tmp_path)
    assert found.shares["noise"] < min(found.shares["image"], found.shares["text"]) / 3
    assert found.mrr > 0.98 * plain_two.mrr


@pytest.mark.slow  # test_by_the_plain_form_noise_is_heard_most is the same within a modality
def test_by_the_plain_form_noise_has_the_largest_share(world: World, tmp_path: Path) -> None:
    tables = {**world.tables(), "noise": noise(world)}
    found = Outcome(world, tables, tmp_path, fusion="cmkf_plain", temperature=0.1)
    assert found.shares["noise"] == max(found.shares.values())


def test_what_alone_tells_something_is_found(world: World, tmp_path: Path) -> None:
    """Nothing else shows who made a thing."""
    tables = {"text": world.tables()["text"], "sound": sound_of_the_maker(world)}
    found = Outcome(world, {**tables, "noise": noise(world)}, tmp_path)
    assert found.shares["sound"] > 3 * found.shares["noise"]
    names = [block.name for block in found.scoring.blocks]
    weights = dict(zip(names, found.scoring.block_weights[MAKER].tolist(), strict=True))
    assert weights["content-sound"] > max(weights["content-text"], weights["content-noise"])


class TestWithinAModality:
    """One modality shows colours, shapes and noise; what each of its experts sees is planted."""

    SEES: ClassVar = {
        "colour": slice(0, IMAGE_DIM),
        "shape": slice(IMAGE_DIM, IMAGE_DIM + TEXT_DIM),
        "noise": slice(IMAGE_DIM + TEXT_DIM, None),
    }

    def strengths(
        self,
        world: World,
        experts: list[str],
        folder: Path,
        training: Mapping[str, Any] | None = None,
        **model: Any,
    ) -> list[float]:
        """Train experts that see parts of the row; return the strength of each one's view."""
        trainer = self.trainer(world, len(experts), folder, training or {}, **model)
        weight = trainer.model.contents["content"].experts["all_experts"].weight
        sight = torch.zeros_like(weight)
        for number, part in enumerate(experts):
            sight[number, self.SEES[part]] = 1
            first_like_it = experts.index(part)
            weight.data[number] = weight.data[first_like_it]
        weight.data *= sight
        weight.register_hook(lambda gradient: gradient * sight)
        trainer.run(lambda report: None)
        return trainer.model.contents["content"].strengths.of_views[0].tolist()

    def trainer(
        self,
        world: World,
        num_experts: int,
        folder: Path,
        training: Mapping[str, Any],
        **model: Any,
    ) -> Trainer:
        rows = np.concatenate([world.image, world.text], axis=1)
        silence = np.random.default_rng(7).normal(size=(len(rows), IMAGE_DIM)).astype(np.float32)
        everyone = np.ones(len(rows), dtype=np.bool_)
        table = make_table(np.concatenate([rows, silence], axis=1), everyone)
        plain = {"structure": False, "neighbours": False, "dim": 32, "num_experts": num_experts}
        run = RunFolder(folder)
        run.create(world.graph)
        config = train_config(**{"epochs": 15, "eval_every": 5, "held_back": 0.15, **training})
        alone = Processes(torch.device("cpu"))
        chosen = model_config(**{**plain, **model})
        return Trainer(world.graph, {"all": table}, chosen, config, run, alone)

    @pytest.mark.slow  # 16 trainings
    def test_copies_share_what_one_would_have(self, world: World, tmp_path: Path) -> None:
        """On average: which triples are held back changes a share by up to a sixth either way."""

        def mean_share_of_shape(experts: list[str]) -> float:
            shares = []
            for seed in range(8):
                training = {"epochs": 20, "held_back_epochs": 15, "seed": seed}
                folder = tmp_path / f"{len(experts)}-{seed}"
                found = self.strengths(world, experts, folder, training)
                shares.append(found[-1] / sum(found))
            return float(np.mean(shares))

        alone, beside = (
            mean_share_of_shape(experts)
            for experts in (["colour", "shape"], ["colour", "colour", "shape"])
        )
        assert beside == pytest.approx(alone, rel=0.05)

    def test_noise_gains_nothing(self, world: World, tmp_path: Path) -> None:
        colour, shape, noise = self.strengths(world, ["colour", "shape", "noise"], tmp_path)
        assert noise < min(colour, shape) / 3

    def test_by_the_plain_form_noise_is_heard_most(self, world: World, tmp_path: Path) -> None:
        found = self.strengths(
            world, ["colour", "shape", "noise"], tmp_path, fusion="cmkf_plain", temperature=0.1
        )
        assert found[2] == max(found)

    def test_one_is_left_as_it_is(self, world: World, tmp_path: Path) -> None:
        training = {"epochs": 2, "eval_every": 1, "held_back_epochs": 1}
        assert self.strengths(world, ["colour"], tmp_path, training) == [1.0]
