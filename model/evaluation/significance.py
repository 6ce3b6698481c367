"""Whether one model ranks better than another: a paired bootstrap over seeds and questions.

Both models answer the same questions. Seeds and questions are drawn anew with replacement, many
times over; the spread of the mean difference tells how far other seeds and other questions would
have moved it.

Shapes: S seeds, Q questions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NUM_SAMPLES = 4_000
_SAMPLES_AT_ONCE = 500


@dataclass(frozen=True)
class PairedDifference:
    """A difference of means, and the interval that holds 95% of the bootstrap's.

    Attributes:
        mean: First less second.
        low: 2.5% of the samples lie below.
        high: 2.5% of the samples lie above.
    """

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["better", "level", "worse"]:
        """What the interval says of the first, compared with the second."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "level"


def paired_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], seed: int = 0
) -> PairedDifference:
    """Compare two models, question by question and seed by seed.

    Args:
        first: A value, such as a reciprocal rank, of every question by every seed. Shape: (S, Q).
        second: Those of the other model, the same questions in the same order. Shape: (S, Q).
        seed: Of the bootstrap.

    Raises:
        ValueError: If the shapes differ or are empty.
    """
    if first.shape != second.shape or first.size == 0:
        raise ValueError(
            f"found shapes {first.shape} and {second.shape}; allowed: the same seeds and questions"
        )
    difference = first - second
    generator = np.random.default_rng(seed)
    sizes = [_SAMPLES_AT_ONCE] * (NUM_SAMPLES // _SAMPLES_AT_ONCE)
    means = np.concatenate([_resampled_means(difference, size, generator) for size in sizes])
    low, high = np.quantile(means, [0.025, 0.975])
    return PairedDifference(float(difference.mean()), float(low), float(high))


def _resampled_means(
    difference: NDArray[np.float64], size: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw seeds and questions with replacement; return the mean of each sample. (size,)."""
    seeds, questions = (
        generator.multinomial(count, np.full(count, 1 / count), size=size) / count
        for count in difference.shape
    )
    return np.asarray(((seeds @ difference) * questions).sum(1))
