"""Answers of which one at most can hold: their probabilities sum to at most 1."""

import torch
from torch import Tensor


def at_most_one_each(probabilities: Tensor, questions: Tensor, is_single: Tensor) -> Tensor:
    """Scale the answers to questions of one answer down where they sum to more than 1.

    Args:
        probabilities: Shape (n,).
        questions: What each answers, in one column or several. Shape: (n, any).
        is_single: Whether that has one answer at most. Shape: (n,), bool.

    Returns:
        Shape (n,), in the same order within each question.
    """
    if len(probabilities) == 0:
        return probabilities
    places = questions.unique(dim=0, return_inverse=True)[1]
    sums = torch.zeros_like(probabilities).index_add_(0, places, probabilities)
    return torch.where(is_single, probabilities / sums[places].clamp_min(1.0), probabilities)
