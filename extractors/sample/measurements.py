"""Measures a thing: its length decides its size class; weight and age say less or nothing."""

import numpy as np

from extractors.sample.vocabulary import SIZE_CLASSES_CM
from extractors.sample.world import Thing

_UNWEIGHED_RATE = 0.1
"""Share of the measured things whose weight nobody knows."""


def measure(thing: Thing, rng: np.random.Generator) -> dict[str, float]:
    """Return what was measured, by attribute; the weight may be missing."""
    shortest, longest = SIZE_CLASSES_CM[thing.traits["size class"]]
    length_cm = rng.uniform(shortest + 0.5, longest - 0.5)
    weight_g = 0.05 * length_cm**2.5 * rng.lognormal(0, 0.8)
    numbers = {
        "length_cm": round(length_cm, 1),
        "weight_g": round(weight_g, 1),
        "age_years": float(rng.integers(1, 100)),
    }
    if rng.uniform() < _UNWEIGHED_RATE:
        del numbers["weight_g"]
    return numbers
