"""How much can be missing at most, from how often the surest answers came true."""

from dataclasses import replace

import pytest
import torch

from model.probability.missing_share import LEAST_MISSING, most_missing, times_expected
from model.probability.triple_probabilities import features_of_sides
from model.scoring.calibration import NUM_FEATURES
from model.scoring.held_out import HeldOutAnswers, LabelledAnswers

NUM_KNOWN, NUM_HELD_OUT = 80_000, 10_000  # of two relations together


def held_out(
    share_true: float, share_held_out: float, number: int = 4000, num_parts: int = 1
) -> HeldOutAnswers:
    """Draw answers of which the surest quarter holds with some chance, and the rest never.

    Args:
        share_true: Of the surest quarter, the share that holds.
        share_held_out: Of the facts that were missing, the share that was held out.
        number: Distinct answers.
        num_parts: Models, each of which gives the answers that are not held out for another.
    """
    generator = torch.Generator().manual_seed(0)
    odds = torch.linspace(4, -4, number, dtype=torch.double)
    sides = torch.stack([odds, odds], dim=1)
    draws = torch.rand(number, generator=generator)
    holds = (torch.arange(number) < number // 4) & (draws < share_true * share_held_out)
    answers = LabelledAnswers(features_of_sides(sides, sides), torch.arange(number) % 2, holds)
    others = answers[~holds]
    num_facts = NUM_KNOWN + NUM_HELD_OUT
    num_missing_now = NUM_HELD_OUT / share_held_out - NUM_HELD_OUT
    nothing = HeldOutAnswers.none(
        2,
        NUM_FEATURES,
        num_facts=num_facts,
        missing_share=num_missing_now / (num_facts + num_missing_now),
    )
    return replace(
        nothing,
        answers=LabelledAnswers.together([answers, *[others] * (num_parts - 1)]),
        num_known=torch.tensor([NUM_KNOWN // 2, NUM_KNOWN // 2]),
        num_held_out=torch.tensor([NUM_HELD_OUT // 2, NUM_HELD_OUT // 2]),
        num_parts=num_parts,
    )


@pytest.mark.parametrize("num_parts", [1, 3])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_where_as_much_comes_true_as_was_taken_it_is_near_one(share: float, num_parts: int) -> None:
    assert 0.7 < times_expected(held_out(1.0, share, num_parts=num_parts)) < 1.05
    few_hold = times_expected(held_out(0.5, share, num_parts=num_parts))
    assert few_hold < 0.65, "sure answers that do not hold"


def test_several_models_are_no_surer_than_one() -> None:
    """The same facts, with every wrong answer given by each of three models."""
    one, three = (times_expected(held_out(1.0, 0.3, 400, num_parts)) for num_parts in (1, 3))
    assert three == pytest.approx(one, rel=0.1)


def test_few_answers_tell_less() -> None:
    few, many = (times_expected(held_out(1.0, 1.0, number)) for number in (80, 4000))
    assert 0.8 < few < many < 1
    assert times_expected(held_out(1.0, 1.0, 19)) == 0
    assert times_expected(held_out(0.0, 1.0)) == 0, "nothing came true"


def test_relations_of_which_more_is_known_count_as_such() -> None:
    """Answers of relation 0 alone come true, and of it alone is anything held out."""
    all_of_both = held_out(1.0, 1.0)
    answers = all_of_both.answers
    answers = replace(answers, holds=answers.holds & (answers.relations == 0))
    only_one = replace(all_of_both, answers=answers, num_held_out=torch.tensor([NUM_HELD_OUT, 0]))
    assert 0.8 < times_expected(only_one) < 1.1
    assert times_expected(replace(all_of_both, answers=answers)) < 0.55


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_no_less_can_be_missing_than_is(share: float) -> None:
    found = held_out(1.0, share)
    assert found.missing_share * 0.9 < most_missing(found) < found.missing_share * 1.6


def test_next_to_nothing_is_missing_where_all_came_true() -> None:
    found = replace(held_out(1.0, 1.0), missing_share=0.3)
    assert LEAST_MISSING <= most_missing(found) < 0.02


def test_nothing_is_bounded_without_answers() -> None:
    assert most_missing(held_out(0.0, 0.5)) == 1
