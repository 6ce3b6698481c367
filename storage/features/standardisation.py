"""Standardises pooled features, fitted on some of the entities."""

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Flags = NDArray[np.bool_]

MAX_SCORE = 5.0
"""Known values further from the mean than this many standard deviations are clipped to it."""

_ROUNDING = 1e-6
"""A deviation below this share of the mean is rounding, not variation."""

_CHUNK_SIZE = 4096


def standardise(values: Features, present: Flags, fit_on: Flags) -> Features:
    """Give dense features mean 0 and equal variance in every dimension.

    A dimension that is constant over the fitted entities becomes 0; the others are scaled so
    that the mean squared norm of the fitted rows is `dim`.

    Args:
        values: Pooled features. Rows of absent entities are not read. Shape: (E, dim).
        present: Which entities have features. Shape: (E,).
        fit_on: Which entities to fit on; if none of them is present, all that are. Shape: (E,).

    Returns:
        Rows of absent entities are 0. Shape: (E, dim).
    """
    known = present[:, None]
    mean, scale = _moments(values, known, fit_on)
    num_varying = max(1, int(np.count_nonzero(scale)))
    return _scores(values, known, mean, scale * np.sqrt(scale.size / num_varying))


def standardise_known(values: Features, known: Flags, fit_on: Flags) -> Features:
    """Turn the known values of each attribute into scores of mean 0 and variance 1.

    Args:
        values: Values by attribute; unknown ones are not read. Shape: (E, num_attributes).
        known: Which values are known. Shape: (E, num_attributes).
        fit_on: Which entities to fit on; for an attribute that none of them knows, all that
            do. Shape: (E,).

    Returns:
        Scores within +-`MAX_SCORE`; 0 where unknown. Shape: (E, num_attributes).
    """
    mean, scale = _moments(values, known, fit_on)
    scores = _scores(values, known, mean, scale)
    return np.clip(scores, -MAX_SCORE, MAX_SCORE, out=scores)


def _moments(
    values: Features, known: Flags, fit_on: Flags
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and reciprocal standard deviation (0 for a constant). Shape: (columns,).

    Shape: `known` (E, columns) or (E, 1).
    """
    fitted = known & fit_on[:, None]
    fitted = np.where(fitted.any(axis=0), fitted, known)
    count = np.maximum(1, fitted.sum(axis=0))
    mean = np.sum(values, axis=0, dtype=np.float64, where=fitted) / count
    squares = np.zeros_like(mean)
    for start in range(0, len(values), _CHUNK_SIZE):
        part = slice(start, start + _CHUNK_SIZE)
        squares += np.square(values[part] - mean).sum(axis=0, where=fitted[part])
    deviation = np.sqrt(squares / count)
    varies = deviation > _ROUNDING * np.abs(mean)
    return mean, np.divide(1.0, deviation, out=np.zeros_like(mean), where=varies)


def _scores(
    values: Features, known: Flags, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> Features:
    """Return (values - mean) * scale, 0 where unknown. Shape: that of values."""
    scores = np.zeros(values.shape, dtype=np.float32)
    np.subtract(values, mean, out=scores, where=known, casting="same_kind")
    return np.multiply(scores, scale, out=scores, casting="same_kind")
