"""Answers of which one at most can hold: their probabilities sum to at most 1."""

import torch
from torch import Tensor

_LARGEST_POWER = 64.0
_STEPS = 30  # of the bisection


def at_most_one_each(probabilities: Tensor, questions: Tensor, is_single: Tensor) -> Tensor:
    """Sharpen the answers to questions of one answer where they sum to more than 1.

    They are raised to the power that makes them sum to 1, which takes less from the most probable
    than from the others.

    Args:
        probabilities: Below 1. Shape: (n,).
        questions: What each answers, in one column or several. Shape: (n, any).
        is_single: Whether that has one answer at most. Shape: (n,), bool.

    Returns:
        Shape (n,), in the same order within each question.
    """
    if len(probabilities) == 0:
        return probabilities
    places = questions.unique(dim=0, return_inverse=True)[1]
    low = torch.ones(int(places.max()) + 1, dtype=probabilities.dtype)
    high = torch.full_like(low, _LARGEST_POWER)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_too_large = _sums(probabilities ** middle[places], places, len(low)) > 1
        low = torch.where(is_too_large, middle, low)
        high = torch.where(is_too_large, high, middle)
    is_allowed = _sums(probabilities, places, len(low)) <= 1
    powers = torch.where(is_allowed, 1.0, high)
    sharpened = probabilities ** powers[places]
    still = _sums(sharpened, places, len(low))[places].clamp_min(1.0)  # of equals, near 1
    return torch.where(is_single, sharpened / still, probabilities)


def _sums(values: Tensor, places: Tensor, number: int) -> Tensor:
    return values.new_zeros(number).index_add_(0, places, values)
