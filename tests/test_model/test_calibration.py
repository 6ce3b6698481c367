"""Calibration against its definitions, and on answers whose chances are planted."""

from pathlib import Path

import numpy as np
import pytest
import torch
from model.scoring.odds import calibrated, log_odds_of
from random_scoring import random_scoring

from model.evaluation.evaluate import evaluate_run
from model.inputs import KnownTails, with_inverses
from model.runs.run_folder import RunFolder
from model.scoring.calibration import (
    NUM_ANSWERS,
    BestAnswers,
    best_answers,
    fit_calibration,
    reliability,
)

NUM_ENTITIES, NUM_RELATIONS = 14, 3


def known_of(triples: np.ndarray, num_relations: int = NUM_RELATIONS) -> KnownTails:
    both_ways = with_inverses(triples, num_relations)
    return KnownTails(both_ways, 2 * num_relations, torch.device("cpu"))


def triples_of(seed: int, size: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers([NUM_ENTITIES, NUM_RELATIONS, NUM_ENTITIES], size=(size, 3))


class TestLogOdds:
    def test_are_against_all_others(self) -> None:
        scores = torch.randn(1, 9, generator=torch.Generator().manual_seed(0))
        found = log_odds_of(scores)[0]
        for answer in range(9):
            others = [entity for entity in range(9) if entity != answer]
            expected = scores[0, answer] - scores[0, others].logsumexp(0)
            assert float(found[answer]) == pytest.approx(float(expected), abs=1e-5)

    def test_stay_finite(self) -> None:
        found = log_odds_of(torch.tensor([[200.0, 0.0, 0.0], [-200.0, 0.0, torch.nan]]))
        assert found.isfinite().all()
        assert float(found[0, 0]) > 20
        assert float(found[0, 1]) < -190

    def test_of_the_only_entity(self) -> None:
        assert log_odds_of(torch.randn(1, 1)).isfinite().all()


def test_best_answers_are_the_definition() -> None:
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    before, came_true = triples_of(0, 30), triples_of(1, 12)
    known = {tuple(triple) for triple in with_inverses(before, NUM_RELATIONS).tolist()}
    truths = {tuple(triple) for triple in with_inverses(came_true, NUM_RELATIONS).tolist()}
    best = best_answers(scoring, came_true, known_of(before), chunk_size=5)
    asked = sorted({(head, relation) for head, relation, _ in truths}, key=lambda it: it[::-1])
    assert best.relations.tolist() == [relation for _, relation in asked]
    for place, (head, relation) in enumerate(asked):
        scores = scoring.scores(torch.tensor([head]), torch.tensor([relation]))[0].tolist()
        order = sorted(range(NUM_ENTITIES), key=lambda answer: -scores[answer])
        unknown = [answer for answer in order if (head, relation, answer) not in known]
        expected = [(head, relation, answer) in truths for answer in unknown[:NUM_ANSWERS]]
        assert best.holds[place, : len(expected)].tolist() == expected
        assert best.log_odds[place].isfinite().sum() == len(expected)


def planted(slopes: list[float], intercepts: list[float], counts: list[int]) -> BestAnswers:
    """Draw answers that come true by a line of each relation."""
    generator = torch.Generator().manual_seed(0)
    relations = torch.repeat_interleave(torch.arange(len(slopes)), torch.tensor(counts))
    log_odds = torch.randn(len(relations), 2, generator=generator) * 2
    line = torch.tensor([slopes, intercepts]).T
    chances = calibrated(log_odds, relations, line).sigmoid()
    holds = torch.rand(chances.shape, generator=generator) < chances
    return BestAnswers(relations, log_odds, holds)


class TestFit:
    def test_finds_what_is_planted(self) -> None:
        found = fit_calibration(planted([0.5, 2.0], [0.7, -1.0], [20_000, 20_000]), 2)
        np.testing.assert_allclose(found, [[0.5, 0.7], [2.0, -1.0]], atol=0.1)

    def test_a_rare_relation_follows_the_others(self) -> None:
        best = planted([0.5, 0.5, 3.0], [1.0, 1.0, -3.0], [5000, 5000, 2])
        found = fit_calibration(best, 4)
        np.testing.assert_allclose(found[2], found[0], atol=0.6)
        assert abs(float(found[3, 0]) - 0.5) < 0.2, "nobody asked: the others' slope"
        assert abs(float(found[3, 1]) - 1.0) < 0.3

    def test_without_answers_nothing_changes(self) -> None:
        scoring, none = random_scoring(NUM_ENTITIES, NUM_RELATIONS), triples_of(0, 0)
        nothing = best_answers(scoring, none, known_of(none))
        assert fit_calibration(nothing, 3).tolist() == [[1.0, 0.0]] * 3

    def test_answers_that_are_all_wrong_leave_it_finite(self) -> None:
        best = planted([1.0], [0.0], [500])
        found = fit_calibration(BestAnswers(best.relations, best.log_odds, best.holds & False), 1)
        assert found.isfinite().all()
        assert float(calibrated(best.log_odds, best.relations, found).max()) < -1

    def test_calibrated_chances_come_true_as_often_as_they_say(self) -> None:
        best = planted([0.4], [-0.5], [40_000])
        chances = calibrated(best.log_odds, best.relations, fit_calibration(best, 1)).sigmoid()
        after = reliability(chances.flatten().double().numpy(), best.holds.flatten().numpy())
        raw = torch.sigmoid(best.log_odds).flatten().double().numpy()
        assert after["ece"] < 0.01 < 0.1 < reliability(raw, best.holds.flatten().numpy())["ece"]


class TestReliability:
    def test_is_the_definition(self) -> None:
        chances = np.array([0.0, 0.05, 0.31, 0.35, 1.0])
        holds = np.array([False, True, True, False, True])
        found = reliability(chances, holds)
        assert found["bins"] == [
            {
                "lower": 0.0,
                "upper": 0.1,
                "probability": pytest.approx(0.025),
                "accuracy": 0.5,
                "count": 2,
            },
            {
                "lower": 0.3,
                "upper": 0.4,
                "probability": pytest.approx(0.33),
                "accuracy": 0.5,
                "count": 2,
            },
            {"lower": 0.9, "upper": 1.0, "probability": 1.0, "accuracy": 1.0, "count": 1},
        ]
        assert found["ece"] == pytest.approx((2 * 0.475 + 2 * 0.17 + 0) / 5)
        assert found["num_answers"] == 5

    def test_of_nothing(self) -> None:
        nothing = reliability(np.empty(0), np.empty(0, dtype=bool))
        assert nothing == {"num_answers": 0, "bins": []}


def test_a_run_is_calibrated_on_valid_and_judged_on_test(finished_run: Path) -> None:
    folder = RunFolder(finished_run)
    graph, scoring = folder.read_graph(), folder.read_scoring()
    others = np.concatenate([graph.train, graph.test])
    best = best_answers(scoring, graph.valid, known_of(others, graph.num_relations))
    expected = fit_calibration(best, 2 * graph.num_relations)
    np.testing.assert_allclose(scoring.calibration, expected, atol=1e-4)
    evaluation = evaluate_run(finished_run)
    found = evaluation["calibration"]
    questions = np.unique(with_inverses(graph.test, graph.num_relations)[:, :2], axis=0)
    assert found["before"]["num_answers"] == found["after"]["num_answers"] == len(questions)
    assert evaluation["calibration_of_ten"]["after"]["num_answers"] == NUM_ANSWERS * len(questions)
