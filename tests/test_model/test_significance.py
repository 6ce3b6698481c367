"""The paired bootstrap: intervals that hold what they promise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.evaluation.significance import paired_difference


def draw(shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_model_is_level_with_itself() -> None:
    values = draw((3, 50), 0)
    found = paired_difference(values, values)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert found.verdict == "level"


def test_what_all_questions_share_cancels() -> None:
    """Questions differ by much more than the models do."""
    hardness = draw((1, 400), 1) * 10
    first, second = (hardness + draw((5, 400), seed) * 0.1 for seed in (2, 3))
    found = paired_difference(first + 0.1, second)
    assert found.verdict == "better"
    assert found.low < 0.1 < found.high
    assert paired_difference(second, first + 0.1).verdict == "worse"


@pytest.mark.parametrize("of", ["questions", "seeds"])
def test_the_interval_is_that_of_a_normal_mean(of: str) -> None:
    """Where only one of the two varies, the standard error is known."""
    shape = (1, 900) if of == "questions" else (900, 1)
    values = draw(shape, 4)
    found = paired_difference(np.broadcast_to(values, (900, 900)), np.zeros((900, 900)))
    width = 2 * 1.96 / np.sqrt(900)
    assert found.high - found.low == pytest.approx(width, rel=0.08)


def test_noise_is_level_about_95_times_in_100() -> None:
    verdicts = [
        paired_difference(draw((1, 200), 2 * run), draw((1, 200), 2 * run + 1)).verdict
        for run in range(100)
    ]
    assert 0.90 <= verdicts.count("level") / 100 <= 0.99


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((0, 3), (0, 3))])
def test_only_the_same_questions_can_be_compared(
    shapes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    with pytest.raises(ValueError, match="allowed: the same"):
        paired_difference(*(np.zeros(shape) for shape in shapes))
