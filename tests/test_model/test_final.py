"""Two models of a run: one that never saw test is measured, one of all facts answers."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import World, planted_world
from small_training import (
    SMALL_MODEL,
    epochs_of,
    is_drawn_as_logged,
    run_training,
    same_outcome,
    train_config,
)
from test_resume import train_until
from test_selection import flip_a_bit, keys, leaking

from model.config import FinalName
from model.evaluation.evaluate import evaluate_run
from model.prediction.predictor import Predictor
from model.probability.held_out import calibrate_final
from model.runs.epoch_report import EpochReport
from model.runs.final import final_graph, splits_learned
from model.runs.run_files import delete_training
from model.runs.run_folder import RunFolder
from model.training.train import train
from storage.datasets.graph import SPLITS, Graph
from storage.errors import MocmeError

TRAINING = {"epochs": 3, "eval_every": 1}


def split_by_mocme() -> World:
    world = planted_world()
    return dataclasses.replace(world, graph=dataclasses.replace(world.graph, split_by_hash=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of a graph that mocme has split."""
    run_dir = tmp_path_factory.mktemp("runs") / "two"
    return RunFolder(run_training(split_by_mocme(), run_dir, **TRAINING))


class TestWhatIsLearned:
    @pytest.mark.parametrize(
        ("final", "by_hash", "expected"),
        [
            ("auto", True, SPLITS),
            ("auto", False, ("train",)),
            ("all", False, SPLITS),
            ("train+valid", True, ("train", "valid")),
            ("selected", True, ("train",)),
        ],
    )
    def test_auto_learns_all_where_mocme_made_the_splits(
        self, world: World, final: FinalName, by_hash: bool, expected: tuple[str, ...]
    ) -> None:
        graph = dataclasses.replace(world.graph, split_by_hash=by_hash)
        assert splits_learned(graph, final) == expected

    def test_all_has_every_distinct_triple_once(self) -> None:
        graph = leaking(planted_world()).graph
        learned = final_graph(graph, "all")
        assert learned is not None
        assert keys(learned, "train") == set[int]().union(*(keys(graph, it) for it in SPLITS))
        assert len(keys(learned, "train")) == len(learned.train)
        assert len(learned.valid) == len(learned.test) == 0
        assert (learned.entities, learned.relations) == (graph.entities, graph.relations)

    def test_train_and_valid_leave_test_where_it_is(self, world: World) -> None:
        learned = final_graph(world.graph, "train+valid")
        assert learned is not None
        np.testing.assert_array_equal(learned.test, world.graph.test)
        assert not keys(learned, "train") & keys(world.graph, "test")
        assert len(learned.train) == len(world.graph.train) + len(world.graph.valid)

    def test_what_is_selected_needs_no_other(self, world: World) -> None:
        assert final_graph(world.graph, "selected") is None


class TestFinalTraining:
    def test_goes_by_what_the_selected_one_decided(self, found: RunFolder) -> None:
        selected, final = (
            json.loads((it.root / "training.json").read_text()) for it in (found, found.final)
        )
        assert {key for key in selected if selected[key] != final[key]} == {"files", "checksum"}
        log = epochs_of(found.final.root)
        assert [epoch["epoch"] for epoch in log] == list(range(1, selected["best_epoch"] + 1))
        assert {epoch["valid_mrr"] for epoch in log} == {None}
        assert is_drawn_as_logged(found.final.root)
        both = [*found.read_log(), *found.final.read_log()]
        assert found.seconds_trained() == sum(epoch["seconds"] for epoch in both)
        one, other = found.read_scoring(), found.final.read_scoring()
        assert torch.equal(one.block_weights, other.block_weights)
        expected = calibrate_final(found.read_graph(), one)
        for name, value in expected.tensors().items():
            torch.testing.assert_close(other.calibration.tensors()[name], value)
        assert torch.equal(one.calibration.participation, other.calibration.participation)
        assert not torch.equal(one.encoded[0].entities, other.encoded[0].entities)

    def test_the_selected_model_is_what_it_would_be_alone(
        self, found: RunFolder, tmp_path: Path
    ) -> None:
        alone = run_training(split_by_mocme(), tmp_path, final="selected", **TRAINING)
        assert same_outcome(alone, found.root)
        assert RunFolder(alone).answering.root == alone
        assert not (alone / "final").exists()

    def test_what_follows_is_told_with_every_epoch(self, tmp_path: Path) -> None:
        world, reports = split_by_mocme(), list[EpochReport]()
        config = train_config(epochs=2)
        train(world.graph, world.tables(), SMALL_MODEL, config, tmp_path, reports.append)
        assert [it.num_epochs_after for it in reports] == [2, 2, 0, 0]

    def test_a_leaking_valid_makes_three_trainings(self, tmp_path: Path) -> None:
        world = leaking(planted_world())
        folder = RunFolder(run_training(world, tmp_path, final="all", **TRAINING))
        assert folder.selection.is_finished()
        assert folder.is_finished()
        assert folder.final.is_finished()
        best = folder.selection.read_best()
        assert folder.read_best() == folder.final.read_best() == best
        assert len(folder.final.read_log()) == best[0]

    @pytest.mark.parametrize("stopped_in", ["selected", "final"])
    def test_goes_on_where_it_was_stopped(
        self, found: RunFolder, tmp_path: Path, stopped_in: str
    ) -> None:
        world = split_by_mocme()
        if stopped_in == "final":
            train_until(world, tmp_path, 2, final="selected", **TRAINING)
            run_training(world, tmp_path, final="selected", **TRAINING)
        train_until(world, tmp_path, 1, **TRAINING)
        assert RunFolder(tmp_path).is_finished() == (stopped_in == "final")
        assert not RunFolder(tmp_path).final.is_finished()
        assert RunFolder(tmp_path).answering.root == tmp_path
        run_training(world, tmp_path, **TRAINING)
        assert same_outcome(found.root, tmp_path)
        assert same_outcome(found.final.root, tmp_path / "final")

    @pytest.mark.parametrize("lost", ["graph.json", "final/triples.safetensors", "final/all"])
    def test_what_one_of_the_two_has_lost_is_made_again_and_nothing_else(
        self, found: RunFolder, tmp_path: Path, lost: str
    ) -> None:
        run_dir = Path(shutil.copytree(found.root, tmp_path / "run"))
        if lost == "final/all":
            shutil.rmtree(run_dir / "final")
        else:
            flip_a_bit(run_dir / lost)
        before = (run_dir / "model.safetensors").stat().st_ino
        run_training(split_by_mocme(), run_dir, **TRAINING)
        assert same_outcome(found.root, run_dir)
        assert same_outcome(found.final.root, run_dir / "final")
        assert RunFolder(run_dir).is_finished()
        assert RunFolder(run_dir).final.is_finished()
        assert (run_dir / "model.safetensors").stat().st_ino == before

    def test_all_of_it_is_deleted_and_nothing_of_the_users(
        self, found: RunFolder, tmp_path: Path
    ) -> None:
        run_dir = Path(shutil.copytree(found.root, tmp_path / "run"))
        (run_dir / "final/mine.txt").write_text("mine")
        delete_training(run_dir)
        assert [it for it in run_dir.rglob("*") if it.is_file()] == [run_dir / "final/mine.txt"]
        (run_dir / "final/mine.txt").unlink()
        delete_training(run_dir)
        assert list(run_dir.iterdir()) == []

    def test_a_link_of_the_users_is_not_written_through(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "mine").mkdir()
        (tmp_path / "run/final").symlink_to(tmp_path / "mine")
        with pytest.raises(MocmeError, match="run/final: found a symbolic link"):
            run_training(split_by_mocme(), tmp_path / "run", epochs=1)
        assert list((tmp_path / "mine").iterdir()) == []


class TestWhoSaysWhat:
    def test_metrics_are_of_the_selected_model(self, found: RunFolder, tmp_path: Path) -> None:
        run_dir = Path(shutil.copytree(found.root, tmp_path / "run"))
        metrics = evaluate_run(run_dir)
        assert metrics["model"] == "selected"
        assert metrics["valid"]["mrr"] == pytest.approx(found.read_best()[1], abs=1e-9)
        shutil.rmtree(run_dir / "final")
        without = evaluate_run(run_dir)
        assert without.pop("calibration") != metrics.pop("calibration"), "is of what answers"
        assert without == metrics

    def test_a_model_that_learned_test_is_not_measured_on_it(self, found: RunFolder) -> None:
        with pytest.raises(MocmeError, match=r"final: found no triples of test, as its model"):
            evaluate_run(found.final.root)

    def test_answers_are_of_the_final_model(self, found: RunFolder) -> None:
        asked, final = Predictor(found.root), Predictor(found.final.root)
        head, relation, tail = found.read_graph().test[0].tolist()
        question = {"head": asked.graph.entities[head], "relation": asked.graph.relations[relation]}
        answers = asked.answers(**question, k=99)
        assert answers == final.answers(**question, k=99)
        assert {it.entity for it in answers if it.known} >= {asked.graph.entities[tail]}

    def test_what_no_training_held_is_evidence_now(self, found: RunFolder) -> None:
        """The nearest fact of an answer may be one of test."""
        graph: Graph = found.read_graph()
        held_out = {
            (graph.relations[r], graph.entities[h], graph.entities[t])
            for h, r, t in graph.test.tolist()
        }
        predicted = [it.row() for it in Predictor(found.root).missing_triples(k=30)]
        nearest = {(it["relation"], it["nearest_head"], it["nearest_tail"]) for it in predicted}
        assert nearest & held_out
