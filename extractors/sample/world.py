"""Draws the things of the sample's world: who they are, and in which modalities one meets them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from extractors.sample.vocabulary import TRAITS

MODALITIES = ("text", "image", "audio", "video", "numeric")
"""The fields of an entity that may be missing."""

MISSING_RATES: Mapping[str, float] = {
    "text": 0.15,
    "image": 0.2,
    "audio": 0.25,
    "video": 0.3,
    "numeric": 0.2,
}
"""Share of the things, drawn at random, that lack a modality."""

UNSEEN_RATE = 0.04
"""Share of the things that no training triple mentions."""

THINGS_PER_FAMILY = 15

_FIRST_ONSETS = ("B", "Br", "D", "Dr", "F", "Fl", "G", "Gl", "K", "L", "M", "N", "R", "T", "V", "Z")
_ONSETS = ("b", "d", "f", "l", "m", "n", "r", "s", "t", "v")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "l", "m", "n", "r", "sk", "th")


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing.

    Attributes:
        id: Id in the graph; reveals nothing.
        name: Invented name; reveals nothing.
        traits: Value of every trait in `TRAITS`, each drawn independently of the others.
        modalities: The modalities it is shown in.
        family: Its family; None if no training triple is to mention the thing.
    """

    id: str
    name: str
    traits: Mapping[str, str]
    modalities: frozenset[str]
    family: str | None

    @property
    def unseen(self) -> bool:
        """Whether no training triple mentions the thing."""
        return self.family is None


def draw_things(num_things: int, rng: np.random.Generator) -> list[Thing]:
    """Draw things; the unseen ones are shown in every modality, for nothing else tells of them."""
    names = _draw_names(num_things, rng)
    unseen = _choose(num_things, UNSEEN_RATE, rng)
    lacking = {m: _choose(num_things, MISSING_RATES[m], rng) - unseen for m in MODALITIES}
    values = {trait: _draw_values(TRAITS[trait], num_things, rng) for trait in TRAITS}
    families = _draw_values(family_names(num_things), num_things, rng)
    return [
        Thing(
            id=name.lower(),
            name=name,
            traits={trait: values[trait][row] for trait in TRAITS},
            modalities=frozenset(m for m in MODALITIES if row not in lacking[m]),
            family=None if row in unseen else families[row],
        )
        for row, name in enumerate(names)
    ]


def family_names(num_things: int) -> tuple[str, ...]:
    """Return the families among which that many things live."""
    parts = product(("ling", "sted", "worth"), ("ar", "el", "in", "or", "un"), "BDFGKLMNPRSTVW")
    names = (f"House {initial}{vowel}{ending}" for ending, vowel, initial in parts)
    return tuple(islice(names, max(2, num_things // THINGS_PER_FAMILY)))


def _draw_values(values: tuple[str, ...], num: int, rng: np.random.Generator) -> list[str]:
    """Draw values in equal shares and in random order."""
    return [values[row % len(values)] for row in rng.permutation(num)]


def _choose(num: int, rate: float, rng: np.random.Generator) -> set[int]:
    """Choose a share of the rows `range(num)` without replacement."""
    return {int(row) for row in rng.choice(num, size=round(rate * num), replace=False)}


def _draw_names(num: int, rng: np.random.Generator) -> list[str]:
    """Draw distinct pronounceable names of three syllables."""
    parts = (_FIRST_ONSETS, _VOWELS, _ONSETS, _VOWELS, _ONSETS, _VOWELS, _CODAS)
    names: dict[str, None] = {}
    while len(names) < num:
        names["".join(str(rng.choice(part)) for part in parts)] = None
    return list(names)
