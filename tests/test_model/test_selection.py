"""Where valid leaks: selected on triples carved out of train, then trained on all of train."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import World, planted_world
from small_training import epochs_of, run_training, same_outcome
from test_resume import train_until

from model.evaluation.evaluate import evaluate_run, reciprocal_ranks
from model.runs.run_folder import RunFolder
from model.runs.selection import graph_to_select_on
from storage.datasets.audit import is_among, triple_keys
from storage.datasets.graph import Graph

LEAKING = 40
"""Lines of valid that stand in train."""


def leaking(world: World) -> World:
    """The same world, whose valid is nearly all of it a part of train."""
    graph = world.graph
    valid = np.concatenate([graph.train[:LEAKING], graph.valid[:1]])
    return dataclasses.replace(world, graph=dataclasses.replace(graph, valid=valid))


def keys(graph: Graph, split: str) -> set[int]:
    return set(triple_keys(graph, graph.split(split)).tolist())  # type: ignore[arg-type]


class TestGraphToSelectOn:
    def test_a_good_valid_is_selected_on(self, world: World) -> None:
        assert graph_to_select_on(world.graph, "auto") is None
        assert graph_to_select_on(leaking(world).graph, "valid") is None

    @pytest.mark.parametrize("select_on", ["auto", "carved"])
    def test_train_is_divided_and_test_left_alone(self, select_on: str) -> None:
        graph = leaking(planted_world(num_things=200)).graph
        test = np.concatenate([graph.test, graph.train[:50]])  # as TIVA's, which stands in train
        graph = dataclasses.replace(graph, test=test)
        found = graph_to_select_on(graph, select_on)  # type: ignore[arg-type]
        assert found is not None
        carved = keys(found, "valid") & keys(graph, "train")
        assert len(carved) > 20
        assert keys(found, "train") == keys(graph, "train") - carved
        assert not keys(found, "valid") & (keys(found, "train") | keys(graph, "test"))
        np.testing.assert_array_equal(found.test, graph.test)
        np.testing.assert_array_equal(found.seen_in_training, graph.seen_in_training)

    def test_what_cannot_spare_a_triple_is_selected_on_valid(self) -> None:
        triples = np.array([[0, 0, 1], [2, 0, 3]])
        graph = Graph(tuple("abcd"), tuple("abcd"), ("r",), triples, triples, triples[:1])
        assert graph_to_select_on(graph, "carved") is None


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-10] ^= 8
    file.write_bytes(content)


class TestTwoTrainings:
    @pytest.fixture(scope="class")
    def found(self, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
        run_dir = tmp_path_factory.mktemp("runs") / "leaking"
        return RunFolder(run_training(leaking(planted_world()), run_dir, epochs=8, patience=1))

    def test_the_second_learns_from_all_of_train(self, found: RunFolder) -> None:
        published, carved = found.read_graph(), found.selection.read_graph()
        np.testing.assert_array_equal(published.train, leaking(planted_world()).graph.train)
        assert len(carved.train) < len(published.train)

    def test_it_takes_epochs_and_block_weights_from_the_first(self, found: RunFolder) -> None:
        chosen, last = (
            json.loads((it.root / "training.json").read_text()) for it in (found.selection, found)
        )
        assert {key for key in chosen if chosen[key] != last[key]} == {"files", "checksum"}
        log = epochs_of(found.root)
        assert [epoch["epoch"] for epoch in log] == list(range(1, chosen["best_epoch"] + 1))
        assert {epoch["num_epochs"] for epoch in log} == {chosen["best_epoch"]}
        assert {epoch["valid_mrr"] for epoch in log} == {None}
        both = [*found.selection.read_log(), *found.read_log()]
        assert found.seconds_trained() == sum(epoch["seconds"] for epoch in both)
        assert {epoch["best_valid_mrr"] for epoch in log} == {chosen["best_valid_mrr"]}
        weights = [it.read_scoring().block_weights for it in (found, found.selection)]
        assert torch.equal(*weights)
        entities = [it.read_scoring().blocks[0].entities for it in (found, found.selection)]
        assert not torch.equal(*entities)

    def test_valid_is_judged_by_the_model_that_did_not_learn_it(self, found: RunFolder) -> None:
        best = json.loads((found.root / "training.json").read_text())["best_valid_mrr"]
        metrics = evaluate_run(found.root)
        assert metrics["valid"]["mrr"] == pytest.approx(best, abs=1e-9)
        assert reciprocal_ranks(found.root).valid.mean() == pytest.approx(best, abs=1e-6)
        num_carved = len(found.selection.read_graph().valid)
        assert metrics["valid"]["num_ranks"] == 2 * num_carved
        graph = found.read_graph()
        in_train = is_among(
            triple_keys(graph, graph.test), np.sort(triple_keys(graph, graph.train))
        )
        assert not in_train.any()
        assert metrics["test"]["num_ranks"] == 2 * len(graph.test)

    def test_repeated_lines_of_valid_change_nothing(self, found: RunFolder, tmp_path: Path) -> None:
        world = leaking(planted_world())
        repeated = np.concatenate([world.graph.valid[::-1], world.graph.valid])
        world = dataclasses.replace(world, graph=dataclasses.replace(world.graph, valid=repeated))
        again = run_training(world, tmp_path, epochs=8, patience=1)
        assert same_outcome(found.root, again)

    def test_each_of_the_two_goes_on_where_it_was_stopped(
        self, found: RunFolder, tmp_path: Path
    ) -> None:
        world = leaking(planted_world())
        train_until(world, tmp_path, 1, epochs=8, patience=1)
        assert not RunFolder(tmp_path).selection.is_finished()
        train_until(world, tmp_path, 1, epochs=8, patience=1)
        assert RunFolder(tmp_path).selection.is_finished()
        assert not RunFolder(tmp_path).is_finished()
        run_training(world, tmp_path, epochs=8, patience=1)
        assert same_outcome(found.root, tmp_path)
        assert same_outcome(found.selection.root, tmp_path / "selection")

    @pytest.mark.parametrize(
        "lost", ["graph.json", "triples.safetensors", "selection/graph.json", "selection/all"]
    )
    def test_what_one_of_the_two_has_lost_is_made_again_and_nothing_else(
        self, found: RunFolder, tmp_path: Path, lost: str
    ) -> None:
        run_dir = Path(shutil.copytree(found.root, tmp_path / "run"))
        if lost == "selection/all":
            shutil.rmtree(run_dir / "selection")
        else:
            flip_a_bit(run_dir / lost)
        before = (run_dir / "model.safetensors").stat().st_ino
        run_training(leaking(planted_world()), run_dir, epochs=8, patience=1)
        assert same_outcome(found.root, run_dir)
        assert same_outcome(found.selection.root, run_dir / "selection")
        assert RunFolder(run_dir).is_finished()
        assert RunFolder(run_dir).selection.is_finished()
        assert (run_dir / "model.safetensors").stat().st_ino == before

    def test_select_on_valid_trains_once(self, tmp_path: Path) -> None:
        run_training(leaking(planted_world()), tmp_path, epochs=2, select_on="valid")
        assert not (tmp_path / "selection").exists()
        assert RunFolder(tmp_path).selected.root == tmp_path
