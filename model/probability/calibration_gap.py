"""How far what a model promises is from what came true; free of torch, for flows to read."""

from collections.abc import Mapping
from typing import Any

LARGEST_GAP = 0.1
"""Difference between what is promised and what comes true beyond which digits mean nothing."""


def calibration_gap(calibration: Mapping[str, Any]) -> float | None:
    """Return how much more is promised of held-out answers than came true; below 0, less.

    Args:
        calibration: Of `model.probability.held_out.calibration_on_test`.

    Returns:
        A difference of probabilities, of the answers of probability 1/2 and more; None without any.
    """
    if "promised" not in calibration or "true" not in calibration:
        return None
    return float(calibration["promised"] - calibration["true"])


def is_off(gap: float) -> bool:
    """Whether what is promised is too far from what came true for probabilities to be believed."""
    return abs(gap) > LARGEST_GAP
