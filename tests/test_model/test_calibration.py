"""Calibration against its definitions, and on answers whose lines are planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_probabilities import plain_by_question, plain_features, plain_side
from random_scoring import random_scoring

from model.evaluation.evaluate import evaluate_run
from model.probability import labelling
from model.probability.calibration import fit_lines, reliability
from model.probability.further_answers import WORTH_ASKING
from model.probability.held_out import calibration_on_test
from model.probability.labelling import label_answers
from model.probability.triple_probabilities import Unanswered, features_of_sides
from model.runs.run_folder import RunFolder
from model.scoring.calibration import NUM_FEATURES, Lines
from model.scoring.held_out import LabelledAnswers
from storage.datasets.graph import Graph, Triples
from storage.datasets.relation_types.learning import learn_relation_types

NUM_ENTITIES, SIZE = 14, 3


def triples_of(seed: int, number: int) -> Triples:
    generator = np.random.default_rng(seed)
    return np.unique(
        generator.integers([NUM_ENTITIES, SIZE, NUM_ENTITIES], size=(number, 3)), axis=0
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    ids = tuple(map(str, range(NUM_ENTITIES)))
    before = triples_of(0, 60)
    return Graph(ids, ids, ("a", "b", "c"), before, before[:0], before[:0])


@pytest.fixture(scope="module")
def unanswered(graph: Graph) -> Unanswered:
    scoring = random_scoring(NUM_ENTITIES, SIZE)
    scoring = replace(scoring, block_weights=scoring.block_weights * 0.2)
    return Unanswered.of(scoring, graph, learn_relation_types(graph), 0.3)


class TestLabelledAnswers:
    def plain(
        self, unanswered: Unanswered, graph: Graph, truths: Triples, ignored: Triples
    ) -> dict[tuple[int, ...], tuple[float, ...]]:
        """Return the features of every triple, and whether it came true, by definition."""
        tables = torch.from_numpy(plain_by_question(unanswered, graph, is_single=()))
        everyone = torch.arange(NUM_ENTITIES)
        left_out, true = set(map(tuple, ignored.tolist())), set(map(tuple, truths.tolist()))
        found = {}
        for question, rows in enumerate(tables):
            chance = unanswered.further.of(everyone, torch.full_like(everyone, question)).chance
            for entity in (chance >= WORTH_ASKING).nonzero()[:, 0].tolist():
                for answer, probability in enumerate(rows[entity].tolist()):
                    head, tail = (entity, answer) if question < SIZE else (answer, entity)
                    triple = (head, question % SIZE, tail)
                    if probability >= 1e-3 and triple not in left_out:
                        sides = (
                            (head, triple[1], float(tables[triple[1], head, tail])),
                            (tail, triple[1] + SIZE, float(tables[triple[1] + SIZE, tail, head])),
                        )
                        features = plain_features(*(plain_side(unanswered, *it) for it in sides))
                        found[triple] = (*features, triple in true)
        return found

    def test_are_the_definition(
        self, unanswered: Unanswered, graph: Graph, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(labelling, "_QUESTIONS_AT_ONCE", 5)
        truths, ignored = triples_of(1, 40), triples_of(2, 30)
        expected = self.plain(unanswered, graph, truths, ignored)
        told = label_answers(unanswered, truths, ignored)
        columns = [told.relations, *told.features.T, told.holds]
        found = sorted(zip(*(it.tolist() for it in columns), strict=True))
        plain = sorted((triple[1], *values) for triple, values in expected.items())
        assert len(plain) == len(expected) > 100
        np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-3)
        assert 0 < told.holds.sum() < len(told.holds)

    def test_of_many_questions_some_are_asked(
        self, unanswered: Unanswered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everything = label_answers(unanswered, triples_of(1, 40), triples_of(2, 0))
        monkeypatch.setattr(labelling, "MOST_QUESTIONS", 10)
        some = label_answers(unanswered, triples_of(1, 40), triples_of(2, 0))
        assert 0 < len(some.holds) < len(everything.holds)
        again = label_answers(unanswered, triples_of(1, 40), triples_of(2, 0))
        assert torch.equal(some.features, again.features)


def shares(num_relations: int, share_known: float = 1.0) -> torch.Tensor:
    return torch.full((num_relations,), share_known, dtype=torch.double)


def lines_of(weights: list[list[float]]) -> Lines:
    """Return lines of an intercept and the weights of the larger and the smaller log-odds."""
    padded = torch.zeros(len(weights), NUM_FEATURES)
    padded[:, :3] = torch.tensor(weights)
    return replace(Lines.identity(len(weights)), weights=padded)


def log_odds(told: LabelledAnswers, lines: Lines) -> torch.Tensor:
    return lines.log_odds(told.features, told.relations)


def planted(
    weights: list[list[float]], counts: list[int], share_known: float = 1.0
) -> LabelledAnswers:
    """Draw answers that come true by a line of each relation; of those some are known to."""
    generator = torch.Generator().manual_seed(0)
    relations = torch.repeat_interleave(torch.arange(len(weights)), torch.tensor(counts))
    sides = torch.rand(2, len(relations), 2, generator=generator, dtype=torch.double).logit()
    told = LabelledAnswers(features_of_sides(*sides), relations, relations > 0)
    chance = log_odds(told, lines_of(weights)).sigmoid() * share_known
    holds = torch.rand(len(relations), generator=generator) < chance
    return LabelledAnswers(told.features, relations, holds)


class TestFit:
    @pytest.mark.parametrize("share_known", [1.0, 0.4])
    def test_finds_what_is_planted(self, share_known: float) -> None:
        weights = [[0.7, 0.5, 0.3], [-1.0, 0.2, 1.2]]
        told = planted(weights, [40_000, 40_000], share_known)
        found = fit_lines(told, Lines.identity(2), shares(2, share_known))
        wanted = log_odds(told, lines_of(weights)).sigmoid()
        assert (log_odds(told, found).sigmoid() - wanted).abs().mean() < 0.01

    def test_of_a_relation_of_which_less_is_known_to_come_true_as_much_is_promised(self) -> None:
        """A split may hold out facts of some relations more than of others."""
        weights = [[-0.5, 0.9, 0.1]] * 2
        known = torch.tensor([0.9, 0.3], dtype=torch.double)
        told = planted(weights, [40_000, 40_000])
        seen = torch.rand(len(told.holds), generator=torch.Generator().manual_seed(1))
        told = replace(told, holds=told.holds & (seen < known[told.relations]))
        odds = log_odds(told, fit_lines(told, Lines.identity(2), known))
        wanted = log_odds(told, lines_of(weights)).sigmoid()
        assert (odds.sigmoid() - wanted).abs().mean() < 0.01

    def test_a_rare_relation_follows_the_others(self) -> None:
        usual = [1.0, 0.5, 0.3]
        told = planted([usual, usual, [-3.0, 2.0, 0.0], usual], [5000, 5000, 2, 0])
        found = fit_lines(told, Lines.identity(4), shares(4))
        everywhere = LabelledAnswers(
            told.features[:5000], torch.zeros(5000, dtype=torch.long), told.holds[:5000]
        )
        first, rare, untold = (
            log_odds(replace(everywhere, relations=everywhere.relations + number), found).sigmoid()
            for number in (0, 2, 3)
        )
        assert (rare - first).abs().mean() < 0.1
        assert (untold - first).abs().mean() < 0.05, "none told: as the others"

    def test_without_answers_nothing_changes(self) -> None:
        before = Lines.identity(3)
        assert fit_lines(planted([[0.0, 1.0, 0.0]], [0]), before, shares(3, 0.5)) is before

    def test_the_fewer_answers_tell_it_the_less_is_promised(self) -> None:
        """Of a few answers that all came true, not as much as of many of which as many did."""
        sure = torch.full((1, 2), 3.0, dtype=torch.double)
        promised = []
        for number in (10, 100, 1000):
            sides = sure.repeat(number, 1)
            relations = torch.zeros(number, dtype=torch.long)
            told = LabelledAnswers(features_of_sides(sides, sides), relations, relations == 0)
            lines = fit_lines(told, Lines.identity(1), shares(1))
            assert lines.covariances.any()
            promised.append(float(log_odds(told, lines).sigmoid()[0]))
        assert 0.5 < promised[0] < promised[1] < promised[2]
        assert promised[2] > 0.97

    def test_answers_that_are_all_wrong_leave_it_finite(self) -> None:
        told = planted([[0.0, 1.0, 0.0]], [500])
        told = LabelledAnswers(told.features, told.relations, told.holds & False)
        found = fit_lines(told, Lines.identity(1), shares(1))
        assert found.weights.isfinite().all()
        assert found.covariances.isfinite().all()
        assert float(log_odds(told, found).sigmoid().max()) < 0.1

    @pytest.mark.parametrize("share_known", [1.0, 0.4])
    def test_calibrated_probabilities_come_true_as_often_as_they_say(
        self, share_known: float
    ) -> None:
        told = planted([[-0.5, 0.4, 0.2]], [40_000], share_known)
        told_share = np.full(len(told.holds), share_known)
        start = Lines.identity(1)
        before, after = (
            reliability(log_odds(told, lines).sigmoid().numpy(), told.holds.numpy(), told_share)
            for lines in (start, fit_lines(told, start, shares(1, share_known)))
        )
        assert after["ece"] < 0.03 < 0.1 < before["ece"]

    def test_answers_of_several_models_count_together(self) -> None:
        told = planted([[0.7, 0.5, 0.3], [-1.0, 0.2, 1.2]], [300, 200])
        halves = [told[rows] for rows in (torch.arange(250), torch.arange(250, 500))]
        together = LabelledAnswers.together(halves)
        one, other = (fit_lines(it, Lines.identity(2), shares(2)) for it in (together, told))
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.covariances, other.covariances)


class TestReliability:
    def test_is_the_definition(self) -> None:
        probabilities = np.array([0.0, 0.05, 0.31, 0.35, 1.0])
        holds = np.array([False, True, True, False, True])
        found = reliability(probabilities, holds, np.ones(len(holds)))
        bins = [tuple(it.values()) for it in found["bins"]]
        assert [list(it) for it in found["bins"]] == [
            ["lower", "upper", "probability", "accuracy", "count"]
        ] * 3
        assert bins == [
            (0.0, 0.1, pytest.approx(0.025), 0.5, 2),
            (0.3, 0.4, pytest.approx(0.33), 0.5, 2),
            (0.9, 1.0, 1.0, 1.0, 1),
        ]
        assert found["ece"] == pytest.approx((2 * 0.475 + 2 * 0.17 + 0) / 5)
        assert found["num_answers"] == 5

    def test_of_those_that_hold_only_some_are_known_to(self) -> None:
        probabilities = np.array([0.45, 0.45, 0.45, 0.45, 0.95])
        holds = np.array([True, False, False, False, True])
        found = reliability(probabilities, holds, np.full(len(holds), 0.5))
        assert [it["accuracy"] for it in found["bins"]] == [0.5, 1.0], "never above 1"
        assert found["ece"] == pytest.approx((4 * 0.05 + 0.05) / 5)

    def test_of_nothing(self) -> None:
        nothing = reliability(np.empty(0), np.empty(0, dtype=bool), np.empty(0))
        assert nothing == {"num_answers": 0, "bins": []}


def test_an_evaluation_says_how_well_the_run_is_calibrated(finished_run: Path) -> None:
    folder = RunFolder(finished_run)
    expected = calibration_on_test(
        folder.read_graph(), folder.read_scoring(), is_fitted_on_test=False
    )
    assert evaluate_run(finished_run)["calibration"] == expected
    assert expected["num_answers"] > 0
    assert 0 < expected["share_known"] <= 1
