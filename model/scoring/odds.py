"""Log-odds of answers: from a softmax over all entities, and from there to what came true.

Shapes: B batch, E entities, R relations (inverses included).
"""

import torch
from torch import Tensor

_WITHOUT_DOUBT = 1e4  # log-odds where nothing else is left, or a score is no number


def log_odds_of(scores: Tensor) -> Tensor:
    """Turn scores into the log-odds of each answer against all others.

    Known answers compete, too: where a question has its answer, others are improbable.

    Args:
        scores: Logits over all entities. Shape: (B, E).

    Returns:
        Shape (B, E), finite.
    """
    return log_odds_of_shares(scores.log_softmax(1))


def log_odds_of_shares(log_shares: Tensor) -> Tensor:
    """Turn the logarithm of what a softmax gives an answer into the log-odds against all others.

    Args:
        log_shares: At most 0. Shape: (any).

    Returns:
        Finite, in the same order. Shape: (any).
    """
    others = torch.log(-torch.expm1(log_shares.clamp_max(-1e-12)))
    odds = log_shares - others
    return odds.nan_to_num(-_WITHOUT_DOUBT, _WITHOUT_DOUBT, -_WITHOUT_DOUBT)


def calibrated(log_odds: Tensor, relations: Tensor, calibration: Tensor) -> Tensor:
    """Turn a model's log-odds into log-odds that came true, whose sigmoid is a probability.

    Args:
        log_odds: Shape (B, any).
        relations: Of each question. Shape: (B,).
        calibration: Slope and intercept of each relation. Shape: (R, 2).

    Returns:
        Shape (B, any), in the same order.
    """
    slope, intercept = calibration[relations].unbind(1)
    return slope.unsqueeze(1) * log_odds + intercept.unsqueeze(1)


def uncalibrated(num_relations: int, device: torch.device | str = "cpu") -> Tensor:
    """Slopes of 1 and intercepts of 0, which leave the model's own odds as they are. (R, 2)."""
    return torch.tensor([1.0, 0.0], device=device).repeat(num_relations, 1)
