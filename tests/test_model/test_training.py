"""Training: what it learns, what never enters it, and that a stop in between changes nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_graph import COLOUR, MAKER, SHAPE, World, feature_table, planted_world
from safetensors.torch import load_file
from small_training import (
    SMALL_MODEL,
    epochs_of,
    everything_in,
    losses_of,
    model_config,
    run_training,
    same_outcome,
    same_tensors,
    train_config,
)
from torch import Tensor

from model.encoder.neighbours import Neighbourhood
from model.evaluation.evaluate import evaluate_run
from model.evaluation.ranking import Ranking, known_answers, rank
from model.inputs import with_inverses
from model.mocme import MoCME
from model.negatives.samplers import SAMPLERS
from model.runs.epoch_report import EpochReport
from model.runs.run_folder import RunFolder
from model.scorers import SCORERS
from model.training.questions import Questions
from model.training.train import train
from storage.datasets.graph import Graph
from storage.errors import MocmeError


def with_graph(world: World, **splits: Any) -> World:
    """Replace splits of the world's graph."""
    return replace(world, graph=replace(world.graph, **splits))


def weights_at_the_end(world: World, run_dir: Path, **changes: Any) -> dict[str, Tensor]:
    """Train, and return the last checkpoint, which holds the optimiser's state and fusion, too.

    The kept weights are those of the best epoch, which valid selects.
    """
    last: dict[str, Tensor] = {}

    def on_epoch(report: EpochReport) -> None:
        if report.epoch == report.num_epochs:
            last.update(load_file(RunFolder(run_dir).checkpoint))

    train(world.graph, world.tables(), SMALL_MODEL, train_config(**changes), run_dir, on_epoch)
    return last


def learnable() -> list[Any]:
    """Return every scorer with every kind of negatives; most, where neither is a default, slow."""
    kinds: list[dict[str, Any]] = [
        {"mode": "all", "weighting": "none"},
        {"mode": "all", "weighting": "self_adversarial"},
        {"mode": "all", "weighting": "egns"},
        *({"mode": "sampled", "sampler": name, "num": 8} for name in sorted(SAMPLERS)),
        {"mode": "sampled", "weighting": "self_adversarial", "num": 8},
    ]
    plain_scorer, plain_kind = SMALL_MODEL.scorer, kinds[2]
    return [
        pytest.param(
            scorer,
            kind,
            id="-".join(map(str, (*kind.values(), scorer))),
            marks=() if scorer == plain_scorer or kind == plain_kind else pytest.mark.slow,
        )
        for scorer in sorted(SCORERS)
        for kind in kinds
    ]


class TestLearning:
    """On 200 things: a thing's colour or shape guessed among the right kind has MRR 0.46."""

    CHANCE = 0.46

    @pytest.fixture(scope="class")
    def large(self) -> World:
        return planted_world(num_things=200, absent=0.0)

    def tail_mrr(self, world: World, run_dir: Path, **model: Any) -> dict[int, float]:
        """Train, and return the MRR of the test's tails by relation, unseen things left out."""
        tables = world.tables() if model.pop("features") else {}
        config = train_config(epochs=24, eval_every=6, batch_size=128)
        options = {"dim": 16, "feature_dropout": 0.0, "neighbours": False, **model}
        train(world.graph, tables, model_config(**options), config, run_dir)
        scoring = RunFolder(run_dir).read_scoring()
        known = known_answers(world.graph, torch.device("cpu"))
        seen = world.graph.seen_in_training[world.graph.test[:, 0]]
        found: Ranking = rank(scoring, world.graph.test[seen], known)
        relations = found.triples[:, 1]
        return {
            relation: float((1 / found.tail_ranks[relations == relation]).mean())
            for relation in (COLOUR, SHAPE, MAKER)
        }

    def test_features_alone_show_what_is_planted(self, large: World, tmp_path: Path) -> None:
        found = self.tail_mrr(large, tmp_path, features=True, structure=False)
        assert min(found.values()) > 0.75

    def test_structure_alone_shows_what_follows_from_other_triples(
        self, large: World, tmp_path: Path
    ) -> None:
        found = self.tail_mrr(large, tmp_path, features=False)
        assert found[COLOUR] > 0.7
        assert found[MAKER] > 0.7
        assert found[SHAPE] < self.CHANCE + 0.12, "nothing but the text tells the shape"

    def test_both_together_show_everything(self, large: World, tmp_path: Path) -> None:
        found = self.tail_mrr(large, tmp_path, features=True)
        assert min(found.values()) > 0.75

    def test_an_unseen_entity_is_known_by_its_features(self, tmp_path: Path) -> None:
        world = planted_world(num_things=120, absent=0.0)
        is_new = world.graph.train[:, 0] < 12
        moved = world.graph.train[is_new]
        newcomers = with_graph(
            world, train=world.graph.train[~is_new], test=moved[moved[:, 1] == SHAPE]
        )
        changes = {"dim": 16, "feature_dropout": 0.0, "neighbours": False}
        config = train_config(epochs=24, eval_every=6, batch_size=128)
        train(newcomers.graph, world.tables(), model_config(**changes), config, tmp_path)
        found = evaluate_run(tmp_path)
        assert found["unseen_entities"]["num_ranks"] == found["test"]["num_ranks"] > 10
        assert found["per_side"]["tail"]["mrr"] > 0.6

    @pytest.mark.parametrize(("scorer", "negatives"), learnable())
    def test_the_loss_falls(
        self, world: World, tmp_path: Path, scorer: str, negatives: dict[str, Any]
    ) -> None:
        config = train_config(epochs=3, eval_every=3, negatives=negatives)
        train(world.graph, world.tables(), model_config(scorer=scorer), config, tmp_path)
        losses = losses_of(tmp_path)
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]
        assert epochs_of(tmp_path)[-1]["valid_mrr"] > 0

    @pytest.mark.parametrize(
        "changes",
        [{"optimizer": "adam", "learning_rate": 0.01}, {"inverse_relations": False}],
        ids=str,
    )
    def test_other_options_learn(
        self, world: World, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        losses = losses_of(run_training(world, tmp_path, **changes))
        assert losses[-1] < losses[0]


def spied_steps(monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Return what trainings will fill: the questions of each epoch's steps, and silent edges."""
    asked: list[list[Tensor]] = []
    silent: list[Tensor] = []
    batches, forward = Questions.batches, MoCME.forward

    def spy_on_questions(self: Questions, *arguments: Any) -> Any:
        asked.append([])
        for triples, questions in batches(self, *arguments):
            asked[-1].append(questions)
            yield triples, questions

    def spy_on_edges(self: MoCME, neighbourhood: Neighbourhood, audible: Tensor) -> Any:
        if self.training:
            silent.append(~audible)
        else:
            assert bool(audible.all())
        return forward(self, neighbourhood, audible)

    monkeypatch.setattr(Questions, "batches", spy_on_questions)
    monkeypatch.setattr(MoCME, "forward", spy_on_edges)
    return asked, silent


class TestWhatEnters:
    """Two trainings that must be the same, or must not."""

    @pytest.fixture(scope="class")
    def plain(self, world: World, finished_run: Path) -> Path:
        return finished_run

    def test_the_seed_decides(self, world: World, plain: Path, tmp_path: Path) -> None:
        assert same_outcome(plain, run_training(world, tmp_path / "same"))
        other = run_training(world, tmp_path / "other", seed=1)
        assert losses_of(other)[0] != losses_of(plain)[0]

    def test_threads_do_not(self, tmp_path: Path) -> None:
        """Rows looked up often, and many of them, so that threads share the sums."""
        world = planted_world(num_things=400)
        config, model = train_config(epochs=3, batch_size=1024), model_config(dim=64)
        torch.set_num_threads(4)
        for name in ("first", "second"):
            train(world.graph, world.tables(), model, config, tmp_path / name)
        torch.set_num_threads(1)
        assert same_outcome(tmp_path / "first", tmp_path / "second")
        assert not torch.are_deterministic_algorithms_enabled(), "the caller's business"

    def test_chance_drawn_elsewhere_does_not_matter(
        self, world: World, plain: Path, tmp_path: Path
    ) -> None:
        torch.manual_seed(12345)
        reports: list[EpochReport] = []

        def on_epoch(report: EpochReport) -> None:
            torch.rand(7)
            reports.append(report)

        train(world.graph, world.tables(), SMALL_MODEL, train_config(), tmp_path, on_epoch)
        assert same_outcome(plain, tmp_path)

    @pytest.mark.parametrize("mode", ["all", "sampled"])
    @pytest.mark.parametrize("others", ["replaced", "deleted"])
    def test_valid_and_test_triples_never_enter(
        self, world: World, tmp_path: Path, mode: str, others: str
    ) -> None:
        """Weights and losses are the same bit by bit; only selection and diagnosis differ."""
        generator = np.random.default_rng(7)
        sizes = [world.graph.num_entities, world.graph.num_relations, world.graph.num_entities]
        num_valid, num_test = (15, 90) if others == "replaced" else (1, 0)
        changed = with_graph(
            world,
            valid=generator.integers(sizes, size=(num_valid, 3)),
            test=generator.integers(sizes, size=(num_test, 3)),
        )
        runs = {}
        for name, each in (("as-is", world), ("others", changed)):
            runs[name] = weights_at_the_end(
                each,
                tmp_path / name,
                negatives={"mode": mode, "num": 16, "weighting": "egns"},
                patience=9,
                held_back=0.2,
                held_back_epochs=2,
            )
        assert same_tensors(runs["as-is"], runs["others"])
        assert losses_of(tmp_path / "as-is") == losses_of(tmp_path / "others")
        logs = [epochs_of(tmp_path / name) for name in runs]
        for name in ("egns_easy", "egns_hard", "egns_entropy"):
            assert [epoch[name] for epoch in logs[0]] == [epoch[name] for epoch in logs[1]]
        differing = ("valid_mrr", *(["egns_easy_held_out"] if mode == "all" else []))
        for name in differing:  # a few drawn negatives may hold no held-out positive at all
            assert [epoch[name] for epoch in logs[0]] != [epoch[name] for epoch in logs[1]]

    def test_evaluating_more_often_changes_no_loss(
        self, world: World, plain: Path, tmp_path: Path
    ) -> None:
        often = run_training(world, tmp_path, eval_every=1)
        assert losses_of(often) == losses_of(plain)

    def test_duplicates_and_order_of_the_training_triples_change_nothing(
        self, world: World, plain: Path, tmp_path: Path
    ) -> None:
        train_triples = world.graph.train
        repeated = np.concatenate([train_triples[::-1], train_triples[:40], train_triples[:40]])
        assert same_outcome(plain, run_training(with_graph(world, train=repeated), tmp_path))

    def test_garbage_in_absent_rows_changes_nothing(
        self, world: World, plain: Path, tmp_path: Path
    ) -> None:
        train(world.graph, world.tables(garbage=1e30), SMALL_MODEL, train_config(), tmp_path)
        assert same_outcome(plain, tmp_path)

    @pytest.mark.parametrize("mode", ["all", "sampled"])
    def test_equal_egns_weights_are_no_weights(
        self, world: World, tmp_path: Path, mode: str
    ) -> None:
        flat = {"easy_weight": 1.0, "ambiguous_weight": 1.0, "hard_weight": 1.0}
        for name, weighting in (("none", "none"), ("flat", "egns")):
            negatives = {"mode": mode, "num": 16, "weighting": weighting, "egns": flat}
            run_training(world, tmp_path / name, negatives=negatives)
        assert same_outcome(tmp_path / "none", tmp_path / "flat")

    @pytest.mark.parametrize("answers_at_once", [1, 4])
    def test_the_edges_that_a_step_asks_for_are_inaudible_in_it(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers_at_once: int
    ) -> None:
        asked, silent = spied_steps(monkeypatch)
        settings = {"batch_size": 50, "held_back": 0, "answers_at_once": answers_at_once}
        run_training(world, tmp_path, epochs=2, **settings)
        num_relations = world.graph.num_relations
        both_ways = with_inverses(np.unique(world.graph.train, axis=0), num_relations)
        assert len(asked) == 2
        for epoch in asked:
            questions = [tuple(row) for row in torch.cat(epoch).tolist()]
            assert sorted(questions) == sorted(map(tuple, both_ways.tolist())), "each side once"
            assert max(map(len, epoch)) == 50
        assert not torch.equal(asked[0][0], asked[1][0]), "every epoch has an order of its own"
        edges = torch.from_numpy(both_ways)
        for questions, edges_silent in zip(asked[0] + asked[1], silent, strict=True):
            inverse = questions[:, [2, 1, 0]]
            inverse[:, 1] += torch.where(inverse[:, 1] < num_relations, 1, -1) * num_relations
            expected = {tuple(row) for row in torch.cat([questions, inverse]).tolist()}
            assert {tuple(row) for row in edges[edges_silent].tolist()} == expected

    def test_held_back_triples_are_neither_trained_on_nor_heard_until_released(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, silent = spied_steps(monkeypatch)
        update, measured = MoCME.update_fusion, []

        def spy_on_measuring(self: MoCME, *arguments: Any) -> None:
            measured.append(arguments[2] is not None)
            update(self, *arguments)

        monkeypatch.setattr(MoCME, "update_fusion", spy_on_measuring)
        run_training(world, tmp_path, epochs=4, batch_size=50, held_back=0.2, held_back_epochs=2)
        assert measured == [False, True, True, False]
        first, second, third, fourth = (
            {tuple(row) for row in torch.cat(epoch).tolist()} for epoch in asked
        )
        held_back = third - first
        assert len(held_back) == 2 * (len(third) // 2 // 5)
        assert second == first
        assert third == fourth
        assert len(third) == len(silent[0])
        always_silent = torch.stack(silent[: len(asked[0]) + len(asked[1])]).all(0)
        assert int(always_silent.sum()) == len(held_back)

    @pytest.mark.parametrize("rows", ["constant", "one entity"])
    def test_features_that_hardly_tell_anything_do_no_harm(
        self, world: World, tmp_path: Path, rows: str
    ) -> None:
        size = world.graph.num_entities
        values = np.ones((size, 3), np.float32)
        present = np.ones(size, np.bool_) if rows == "constant" else np.arange(size) == 5
        tables = {"image": feature_table(values, present)}
        train(world.graph, tables, SMALL_MODEL, train_config(), tmp_path)
        assert np.isfinite(losses_of(tmp_path)).all()

    def test_constant_features_of_many_entities(self, tmp_path: Path) -> None:
        """Enough entities for the complementarity of what does not vary to be measured."""
        world = planted_world(num_things=200)
        everyone = np.ones(world.graph.num_entities, np.bool_)
        constant = feature_table(np.ones((len(everyone), 3), np.float32), everyone)
        tables = {**world.tables(), "constant": constant}
        train(world.graph, tables, SMALL_MODEL, train_config(epochs=2), tmp_path)
        assert np.isfinite(losses_of(tmp_path)).all()

    def test_complementarity_is_measured_while_training(self, tmp_path: Path) -> None:
        """With a copy of the image at hand, the text weighs more than either of the two."""
        world = planted_world(num_things=200, absent=0.0)
        tables = {**world.tables(), "copy": world.tables()["image"]}
        model = model_config(temperature=0.2, neighbours=False)
        train(world.graph, tables, model, train_config(epochs=2), tmp_path)
        scoring = RunFolder(tmp_path).read_scoring()
        image, text, copy = scoring.modality_weights[20].tolist()
        assert scoring.modalities == ("image", "text", "copy")
        assert text > 1.2 * max(image, copy)


class TestSelection:
    def test_reports(self, world: World, tmp_path: Path) -> None:
        reports: list[EpochReport] = []
        config = train_config(epochs=5, eval_every=2)
        train(world.graph, world.tables(), SMALL_MODEL, config, tmp_path, reports.append)
        assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]
        assert {report.num_epochs for report in reports} == {5}
        assert [report.valid_mrr is not None for report in reports] == [
            False, True, False, True, True,
        ]  # fmt: skip
        assert all(report.seconds > 0 for report in reports)
        assert losses_of(tmp_path) == [report.loss for report in reports]

    def test_the_best_on_valid_is_kept(self, world: World, tmp_path: Path) -> None:
        run_training(world, tmp_path, epochs=6, eval_every=1, learning_rate=2.0, patience=9)
        logged = {epoch["epoch"]: epoch["valid_mrr"] for epoch in epochs_of(tmp_path)}
        summary = json.loads((tmp_path / "training.json").read_text())
        best = max(logged, key=lambda epoch: (logged[epoch], -epoch))
        expected = {"best_epoch": best, "best_valid_mrr": logged[best], "dtype": "float32"}
        assert {name: summary[name] for name in expected} == expected
        assert evaluate_run(tmp_path)["valid"]["mrr"] == pytest.approx(logged[best], abs=1e-9)

    @pytest.mark.parametrize(("patience", "epochs_run"), [(1, 2), (3, 4), (9, 8)])
    def test_early_stopping(
        self, world: World, tmp_path: Path, patience: int, epochs_run: int
    ) -> None:
        run_training(
            world,
            tmp_path,
            epochs=8,
            eval_every=1,
            patience=patience,
            learning_rate=1e-12,
        )
        assert len(epochs_of(tmp_path)) == epochs_run
        assert json.loads((tmp_path / "training.json").read_text())["best_epoch"] == 1

    def test_a_loss_that_is_no_number_ends_the_run(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(FloatingPointError, match="loss is nan"):
            run_training(world, tmp_path, n3_weight=1e39)
        assert not RunFolder(tmp_path).is_finished()

    def test_nothing_to_learn_from(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(MocmeError):
            run_training(with_graph(world, train=world.graph.train[:0]), tmp_path)

    def test_neither_features_nor_structure(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(MocmeError, match="structure"):
            train(world.graph, {}, model_config(structure=False), train_config(), tmp_path)


def test_a_finished_run_is_left_alone(world: World, tmp_path: Path) -> None:
    run_training(world, tmp_path)
    before = everything_in(tmp_path)

    def on_epoch(report: EpochReport) -> None:
        pytest.fail("nothing is left to train")

    train(world.graph, world.tables(), SMALL_MODEL, train_config(epochs=9), tmp_path, on_epoch)
    assert everything_in(tmp_path) == before


def test_the_graph_is_kept_with_the_run(world: World, finished_run: Path) -> None:
    found: Graph = RunFolder(finished_run).read_graph()
    assert found.digest == world.graph.digest
