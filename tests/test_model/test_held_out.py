"""Calibration on facts that a model has not learned, in a world whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import World, planted_world
from small_training import SMALL_MODEL, same_tensors, train_config

from model.prediction.predictor import Predictor
from model.probability.calibration_gap import calibration_gap, is_off
from model.probability.further_answers import (
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.held_out import (
    as_calibrated,
    calibrate,
    calibrate_final,
    calibrated_for,
    calibration_on_test,
)
from model.probability.held_out_answers import NUM_FOLDS, answers_on_test
from model.probability.missing_share import most_missing
from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Lines
from model.training.train import train
from storage.datasets.graph import SPLITS, Graph, Triples
from storage.errors import MocmeError

NUM_THINGS = 150


def with_gaps(world: World) -> tuple[Graph, set[tuple[int, ...]]]:
    """Draw splits anew, a tenth each of valid, test and what nobody states."""
    triples = np.random.default_rng(5).permutation(known_triples(world.graph))
    unstated, valid, test, learned = np.split(triples, np.arange(1, 4) * (len(triples) // 10))
    graph = replace(world.graph, train=learned, valid=valid, test=test)
    return graph, set(map(tuple, unstated.tolist()))


@pytest.fixture(scope="module")
def big_world() -> World:
    return planted_world(NUM_THINGS, absent=0.3)


@pytest.fixture(scope="module")
def graph(big_world: World) -> Graph:
    return with_gaps(big_world)[0]


@pytest.fixture(scope="module")
def run_dir(big_world: World, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held out") / "run"
    config = train_config(epochs=20, eval_every=5, learning_rate=0.1)
    train(graph, big_world.tables(), SMALL_MODEL, config, folder)
    return folder


@pytest.fixture(scope="module")
def scoring(run_dir: Path) -> BlockScoring:
    return RunFolder(run_dir).read_scoring()


class Refits:
    """Stands for fitting block weights, which it leaves as they are; keeps what it was given."""

    def __init__(self, scoring: BlockScoring) -> None:
        self.scoring, self.given = scoring, list[Triples]()

    def __call__(self, valid: Triples) -> BlockScoring:
        self.given.append(valid)
        return self.scoring


class TestCalibrate:
    def test_every_part_of_valid_is_fitted_on_the_others(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        refits = Refits(scoring)
        calibrate(graph, scoring, refits)
        valid = set(map(tuple, graph.valid.tolist()))
        left_out = [valid - set(map(tuple, it.tolist())) for it in refits.given]
        assert len(left_out) == NUM_FOLDS
        assert sum(map(len, left_out)) == len(valid) == len(set().union(*left_out))

    def test_nothing_of_test_is_used_for_the_lines(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        """Other facts of the same number change nothing; who takes part is learned from all."""
        places = np.arange(len(graph.test))
        other = np.stack([NUM_THINGS + places % 15, np.ones_like(places), places], axis=1)
        changed = replace(graph, test=other)
        assert len(known_triples(changed)) == len(known_triples(graph))
        one, two = (calibrate(it, scoring, Refits(scoring)) for it in (graph, changed))
        assert torch.equal(one.lines.weights, two.lines.weights)
        assert torch.equal(one.lines.covariances, two.lines.covariances)
        assert not torch.equal(one.participation, two.participation)

    def test_is_what_a_training_keeps(self, graph: Graph, scoring: BlockScoring) -> None:
        most = scoring.calibration.most_missing
        assert scoring.calibration.missing_share == min(share_held_out(graph), most)
        expected = learn_participation(graph, known_triples(graph))
        torch.testing.assert_close(scoring.calibration.participation, expected)
        assert scoring.calibration.lines.covariances.any()

    @pytest.mark.parametrize("size", [0, 1, NUM_FOLDS - 1])
    def test_with_hardly_any_valid(self, graph: Graph, scoring: BlockScoring, size: int) -> None:
        refits = Refits(scoring)
        found = calibrate(replace(graph, valid=graph.valid[:size]), scoring, refits)
        assert refits.given == []
        assert all(value.isfinite().all() for value in found.tensors().values())
        if size == 0:
            nothing = replace(graph, valid=graph.valid[:0])
            expected = as_calibrated(nothing, Lines.identity(3))
            assert same_tensors(found.tensors(), expected.tensors())


class TestOnTest:
    def test_what_is_promised_comes_true(self, graph: Graph, scoring: BlockScoring) -> None:
        found = calibration_on_test(graph, scoring, is_fitted_on_test=False)
        assert found["num_answers"] > 100
        assert found["promised"] == pytest.approx(found["true"], abs=0.15)
        assert 0 < found["share_known"] <= 1

    def test_valid_is_known_and_never_right_or_wrong(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        twice = replace(graph, test=np.concatenate([graph.test, graph.valid, graph.train[:5]]))
        assert calibration_on_test(twice, scoring, is_fitted_on_test=False) == calibration_on_test(
            graph, scoring, is_fitted_on_test=False
        )

    @pytest.mark.parametrize(
        ("promised", "true", "off"), [(0.8, 0.69, True), (0.8, 0.71, False), (0.6, 0.75, True)]
    )
    def test_is_off_by_more_than_a_tenth(self, promised: float, true: float, off: bool) -> None:
        gap = calibration_gap({"promised": promised, "true": true})
        assert gap is not None
        assert is_off(gap) == off

    def test_without_sure_answers_there_is_no_gap(self) -> None:
        assert calibration_gap({"num_answers": 0, "bins": []}) is None

    def test_of_few_facts_there_is_no_gap(self, graph: Graph, scoring: BlockScoring) -> None:
        few = replace(graph, test=graph.test[:10])
        found = calibration_on_test(few, scoring, is_fitted_on_test=False)
        assert calibration_gap(found) is None

    def test_lines_that_are_fitted_on_test_are_measured_by_halves(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        found = calibration_on_test(graph, scoring, is_fitted_on_test=True)
        assert found["promised"] == pytest.approx(found["true"], abs=0.15)


class TestHowMuchCanBeMissing:
    """A tenth of all facts is stated nowhere."""

    def test_of_a_graph_with_gaps_as_much_as_is_missing(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        most = most_missing(answers_on_test(graph, scoring))
        assert most > 0.07
        found = calibrate_final(graph, scoring)
        assert found.most_missing == min(most, scoring.calibration.most_missing)
        assert found.missing_share == min(share_held_out(graph), found.most_missing)

    def test_of_a_whole_graph_next_to_nothing(
        self, big_world: World, graph: Graph, scoring: BlockScoring
    ) -> None:
        """Unstated facts are in test as well, so less is missing than was held out."""
        unstated = np.array(sorted(with_gaps(big_world)[1]))
        whole = replace(graph, test=np.concatenate([graph.test, unstated]))
        most = most_missing(answers_on_test(whole, scoring))
        assert most < 0.06 < 0.2 < share_held_out(whole)
        assert calibrate_final(whole, scoring).missing_share == most

    def test_a_tighter_bound_of_valid_holds_for_the_final_model(
        self, graph: Graph, scoring: BlockScoring
    ) -> None:
        tighter = replace(scoring, calibration=replace(scoring.calibration, most_missing=0.02))
        assert calibrate_final(graph, tighter).missing_share == 0.02


class TestForAnotherShare:
    def test_as_if_it_had_been_taken_from_the_start(self, scoring: BlockScoring) -> None:
        calibration = scoring.calibration
        again = calibrated_for(calibration, calibration.missing_share)
        before, after = (it.lines.weights for it in (calibration, again))
        torch.testing.assert_close(after, before, atol=1e-3, rtol=0)
        held_out = replace(calibration.held_out, missing_share=calibration.missing_share)
        found = held_out.share_for_features(calibration.missing_share)
        assert found == pytest.approx(calibration.missing_share)

    def test_where_nothing_was_held_out_it_is_the_share_itself(self, graph: Graph) -> None:
        nothing = as_calibrated(replace(graph, valid=graph.valid[:0]), Lines.identity(3))
        assert calibrated_for(nothing, 0.05).share_for_features == 0.05

    def test_the_more_are_missing_the_more_probable_are_answers(self, run_dir: Path) -> None:
        predictors = [Predictor(run_dir, missing_share=share) for share in (0.03, 0.1, 0.4)]
        sums = [sum(it.probability for it in one.missing_triples(k=50)) for one in predictors]
        assert 1.2 * sums[0] < sums[1] < sums[2]

    @pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
    def test_out_of_bounds(self, scoring: BlockScoring, share: float) -> None:
        with pytest.raises(MocmeError, match="allowed: above 0 and below 1"):
            calibrated_for(scoring.calibration, share)


class TestOfMissingFacts:
    """What nobody states, of which the truth is known: one colour, shape and maker of a thing."""

    def test_above_a_half_as_many_are_true_as_promised(
        self, big_world: World, run_dir: Path
    ) -> None:
        graph, unstated = with_gaps(big_world)
        rows = {entity: row for row, entity in enumerate(graph.entities)}
        found = [
            (it.probability, (rows[it.head], graph.relations.index(it.relation), rows[it.tail]))
            for it in Predictor(run_dir, missing_share=0.1).missing_triples(k=60)
            if it.probability >= 0.5
        ]
        assert len(found) >= 15
        promised = np.mean([probability for probability, _ in found])
        true = np.mean([triple in unstated for _, triple in found])
        assert true - 0.15 < promised < true + 0.1, "less, as few facts tell what is promised"

    def test_no_answer_contradicts_a_fact_of_any_split(self, graph: Graph, run_dir: Path) -> None:
        """All three relations have one tail of each head, and facts in every split."""
        predictor = Predictor(run_dir)
        assert [it.tails_per_head for it in predictor.relation_types] == ["single"] * 3
        answered = {
            (graph.entities[head], graph.relations[relation])
            for split in SPLITS
            for head, relation, _ in graph.split(split).tolist()
        }
        sums: dict[tuple[str, str], float] = {}
        for triple in predictor.missing_triples(k=300):
            question = (triple.head, triple.relation)
            assert question not in answered
            sums[question] = sums.get(question, 0.0) + triple.probability
        assert len(sums) > 30
        assert max(sums.values()) <= 1 + 1e-6
