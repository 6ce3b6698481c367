"""What there is in the sample's world: the values an attribute can take.

A trait is a hidden attribute of a thing. Most traits are named by a relation (`has_colour`); four
of them (`marking`, `rhythm`, `hour`, `company`) are named by none and show only in the media:
pairs of them decide the club a thing is a member of and the food it eats.
"""

from collections.abc import Mapping

Colour = tuple[int, int, int]
"""Red, green and blue, each in [0, 255]."""

COLOURS: Mapping[str, Colour] = {
    "red": (206, 44, 40),
    "orange": (240, 130, 32),
    "yellow": (248, 208, 48),
    "green": (72, 160, 64),
    "teal": (24, 164, 160),
    "blue": (44, 92, 204),
    "purple": (124, 62, 176),
    "pink": (246, 134, 184),
    "brown": (122, 78, 50),
}

NOTES_HZ: Mapping[str, float] = {
    "low E": 164.81,
    "low A": 220.00,
    "middle D": 293.66,
    "middle G": 392.00,
    "high C": 523.25,
    "high F": 698.46,
    "piping B flat": 932.33,
    "piping E flat": 1244.51,
    "piping A flat": 1661.22,
}
"""Fundamental frequencies, a fourth apart."""

VOICES: Mapping[str, Mapping[float, float]] = {
    "flute": {1: 1.0, 2: 0.08},
    "clarinet": {1: 1.0, 3: 0.7, 5: 0.4, 7: 0.25},
    "organ": {1: 1.0, 2: 0.9, 4: 0.8, 8: 0.5},
    "fiddle": {n: 1.0 / n for n in range(1, 11)},
    "bell": {1: 1.0, 2.76: 0.7, 5.4: 0.5, 8.93: 0.3},
    "kazoo": {1: 0.6, 4: 0.5, 5: 0.9, 6: 0.9, 7: 0.6},
}
"""Amplitude of each partial, by its multiple of the fundamental frequency."""

PULSES_HZ: Mapping[str, float] = {"held": 0.0, "beating": 3.0, "fluttering": 11.0}
"""Strokes per second of each rhythm; a held note has one stroke that does not fade."""

SIZE_CLASSES_CM: Mapping[str, tuple[float, float]] = {
    "tiny": (5.0, 25.0),
    "small": (25.0, 45.0),
    "middling": (45.0, 65.0),
    "large": (65.0, 85.0),
    "giant": (85.0, 105.0),
}
"""Least and greatest length of each size class."""

REGIONS: Mapping[str, tuple[str, ...]] = {
    "Ostavel": ("reed marsh", "salt flats", "sand bay"),
    "Numbria": ("pine ridge", "birch grove", "fern gorge"),
    "Calder Isle": ("old quarry", "lake shore", "windmill hill"),
    "Perrow": ("market lane", "chalk cliffs", "ferry landing"),
}
"""The places of each region."""

TRAITS: Mapping[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": ("disc", "ring", "square", "triangle", "star", "cross", "crescent", "heart"),
    "marking": ("plain", "striped", "spotted"),
    "note": tuple(NOTES_HZ),
    "voice": tuple(VOICES),
    "rhythm": tuple(PULSES_HZ),
    "motion": ("gliding", "bobbing", "slanting", "circling", "blinking", "swelling"),
    "company": ("alone", "in pairs", "in threes"),
    "place": tuple(place for places in REGIONS.values() for place in places),
    "material": ("oak", "felt", "clay", "tin", "wool", "wax", "cork", "glass"),
    "hour": ("dawn", "noon", "night"),
    "size class": tuple(SIZE_CLASSES_CM),
}
"""The values of each trait of a thing."""

CLUBS = (
    "the Ambrel Club",
    "the Bostwick Club",
    "the Corrin Club",
    "the Dunmor Club",
    "the Ellery Club",
    "the Fenwyck Club",
    "the Garrold Club",
    "the Hesper Club",
    "the Ingram Club",
)
"""One for each pair of a marking and a rhythm, markings varying slowest."""

FOODS = (
    "oat cakes",
    "plum jam",
    "nettle soup",
    "walnuts",
    "radishes",
    "barley bread",
    "mushrooms",
    "seaweed",
    "honeycomb",
)
"""One for each pair of an hour and a company, hours varying slowest."""

DIALECTS = ("Aldish", "Brennic", "Chorvan", "Dessaic", "Elmarin", "Forlish", "Gundric", "Havese")
"""What families speak."""
