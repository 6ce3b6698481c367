"""How much can be missing at most, from how often the surest answers came true."""

import pytest
import torch

from model.probability.labelled_answers import LabelledAnswers
from model.probability.missing_share import LEAST_MISSING, most_missing, times_expected
from model.probability.triple_probabilities import features_of_sides


def told(share_true: float, share_known: float, number: int = 4000) -> LabelledAnswers:
    """Draw answers of which the surest quarter holds with some chance, and the rest never."""
    generator = torch.Generator().manual_seed(0)
    odds = torch.linspace(4, -4, number, dtype=torch.double)
    sides = torch.stack([odds, odds], dim=1)
    draws = torch.rand(number, generator=generator)
    holds = (torch.arange(number) < number // 4) & (draws < share_true * share_known)
    return LabelledAnswers(features_of_sides(sides, sides), torch.arange(number) % 2, holds)


@pytest.mark.parametrize("share_known", [0.2, 0.5])
def test_where_as_much_comes_true_as_was_taken_it_is_near_one(share_known: float) -> None:
    shares = torch.full((2,), share_known)
    found = times_expected(told(1.0, share_known), shares)
    assert 0.7 < found < 1.05
    assert times_expected(told(0.5, share_known), shares) < 0.6, "sure answers that do not hold"
    assert times_expected(told(1.0, share_known), shares / 2) == pytest.approx(2 * found)


def test_few_answers_tell_less() -> None:
    shares = torch.ones(2)
    few, many = (times_expected(told(1.0, 1.0, number), shares) for number in (80, 4000))
    assert 0.8 < few < many < 1
    assert times_expected(told(1.0, 1.0, 19), shares) == 0
    assert times_expected(told(0.0, 1.0), shares) == 0, "nothing came true"


def test_relations_of_which_more_is_known_count_as_such() -> None:
    """Answers of relation 0 alone come true, and of it alone is anything known."""
    answers = told(1.0, 1.0)
    holds = answers.holds & (answers.relations == 0)
    answers = LabelledAnswers(answers.features, answers.relations, holds)
    assert 0.8 < times_expected(answers, torch.tensor([1.0, 0.0])) < 1
    assert times_expected(answers, torch.ones(2)) < 0.5


@pytest.mark.parametrize(
    ("missing_then", "expected"), [(20, LEAST_MISSING), (10, LEAST_MISSING), (45, 0.2), (70, 1 / 3)]
)
def test_what_is_missing_now_is_what_was_missing_without_what_came_true(
    missing_then: float, expected: float
) -> None:
    """Of 100 facts 80 were known."""
    assert most_missing(100, 80, missing_then) == pytest.approx(expected)
