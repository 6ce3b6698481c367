"""Writes about a thing: its place, its material and its hour, and nothing that media show."""

from collections.abc import Mapping

import numpy as np

from extractors.sample.facts import Concept
from extractors.sample.vocabulary import TRAITS
from extractors.sample.world import Thing

_PLACES = (
    "{name} makes its home at the {place}.",
    "You will find {name} at the {place}, year in and year out.",
    "The {place} is where {name} was born and where it stayed.",
    "Ask anyone at the {place}: they have all met {name}.",
    "Its nest lies hidden near the {place}.",
    "Of all neighbours at the {place}, it keeps the tidiest house.",
    "Letters reach it care of the {place}.",
    "It has never moved away from the {place}.",
)

_MATERIALS = (
    "{name} is made of {material}.",
    "A body of {material}, patiently put together, has served it well.",
    "Its maker had nothing but {material} at hand that winter.",
    "Tap it and you will know the {material} at once.",
    "The {material} it consists of was a gift.",
    "Every part of it is {material}, down to the toes.",
    "It was put together from {material} and good will.",
    "Where others chose plainer stuff, {material} was used here.",
)

_HOURS: Mapping[str, tuple[str, ...]] = {
    "dawn": (
        "It is up before the baker and asleep by breakfast.",
        "At dawn it stretches and sets out.",
        "First light finds it already at work.",
        "Sunrise is its hour.",
    ),
    "noon": (
        "It is about when the church clock strikes twelve.",
        "At noon it stretches and sets out.",
        "Midday finds it at work, and the heat does not trouble it.",
        "Lunch time is its hour.",
    ),
    "night": (
        "It comes out when the lamps are lit, and sleeps all day.",
        "At night it stretches and sets out.",
        "Darkness finds it at work, long after supper.",
        "Midnight is its hour.",
    ),
}

_ASIDES = (
    "Nobody remembers who named it.",
    "It is shy of strangers.",
    "It collects buttons.",
    "Rain does not bother it.",
    "It has been photographed, filmed and recorded more than once.",
    "Children are fond of it.",
    "It is said to be older than it looks.",
    "It dislikes stairs.",
)

_STRAY_RATE = 0.15
"""Share of the texts that name a second place, where the thing does not live."""


def write_text(thing: Thing, rng: np.random.Generator) -> str:
    """Write some sentences, each phrased anew and in any order."""
    sentences = [
        _pick(_PLACES, rng),
        _pick(_MATERIALS, rng),
        _pick(_HOURS[thing.traits["hour"]], rng),
        _pick(_ASIDES, rng),
    ]
    if rng.uniform() < _STRAY_RATE:
        others = tuple(place for place in TRAITS["place"] if place != thing.traits["place"])
        sentences.append(f"Once it lost its way and was seen at the {_pick(others, rng)}.")
    ordered = (sentences[row] for row in rng.permutation(len(sentences)))
    return " ".join(ordered).format(name=thing.name, **thing.traits)


def describe(concept: Concept) -> str:
    """Write one sentence about an entity that is no thing: its name and kind, no more."""
    if concept.kind is None:
        return f"Things of this world differ in their {concept.name}."
    return f"{concept.name[0].upper()}{concept.name[1:]}, a {concept.kind} of this world."


def _pick(phrases: tuple[str, ...], rng: np.random.Generator) -> str:
    return phrases[rng.integers(len(phrases))]
