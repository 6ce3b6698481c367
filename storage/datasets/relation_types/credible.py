"""Credible bounds of a share, which keep a handful of facts from saying what thousands would.

The interval is that of the Beta posterior under Jeffreys' prior, Beta(1/2, 1/2), whose coverage is
close to nominal for small counts, too (Brown, Cai and DasGupta 2001, "Interval Estimation for a
Binomial Proportion").
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

Counts = NDArray[np.int64]

NOISE = 0.03
"""Share of exceptions that real data have where a rule holds, such as countries of two capitals."""

_MOST_EXCEPTIONS = 0.1
_CREDIBILITY = 0.95  # of each bound by itself


def lower_bound(found: Counts, total: Counts) -> NDArray[np.float64]:
    """Return what a share is at least, with a probability of 95%. Shape: that of `found`.

    Args:
        found: How many have the property.
        total: Of how many.
    """
    bound: NDArray[np.float64] = betaincinv(found + 0.5, total - found + 0.5, 1 - _CREDIBILITY)
    return bound


def upper_bound(found: Counts, total: Counts) -> NDArray[np.float64]:
    """Return what a share is at most, with a probability of 95%; see `lower_bound`."""
    bound: NDArray[np.float64] = betaincinv(found + 0.5, total - found + 0.5, _CREDIBILITY)
    return bound


def are_exceptions(found: Counts, total: Counts) -> NDArray[np.bool_]:
    """Return where cases are so rare that the rule holds without them. Shape: that of `found`.

    At most 3% are observed, and more than 10% are not credible: 18 cases without an exception are
    enough, 17 are not; of thousands, a few dozen exceptions are noise.

    Args:
        found: How many exceptions there are.
        total: Of how many.
    """
    rare: NDArray[np.bool_] = (found <= NOISE * total) & (
        upper_bound(found, total) < _MOST_EXCEPTIONS
    )
    return rare


def are_undecided(found: Counts, total: Counts) -> NDArray[np.bool_]:
    """Return where cases may be exceptions or no exceptions: too few to tell; see there."""
    undecided: NDArray[np.bool_] = (upper_bound(found, total) >= _MOST_EXCEPTIONS) & (
        lower_bound(found, total) <= NOISE
    )
    return undecided
