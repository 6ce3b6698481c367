"""The outlines of the shapes that things have in pictures.

An outline is in the body's own frame: x to the right, y down, a radius of about one.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""Corners in order. Shape: (num_corners, 2)."""


def _arc(start: float, stop: float, radius: float = 1.0, x: float = 0.0) -> Outline:
    """Follow a circle about (x, 0) from one angle to another, in turns."""
    angles = 2 * np.pi * np.linspace(start, stop, 60)
    return np.stack([x + radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _polygon(*radii: float, first_angle: float = -0.25) -> Outline:
    """Place corners at even angles, at the given distances from the middle."""
    angles = 2 * np.pi * (first_angle + np.arange(len(radii)) / len(radii))
    corners: Outline = np.array(radii) * np.stack([np.cos(angles), np.sin(angles)])
    return corners.T


def _heart() -> Outline:
    angles = np.linspace(0, 2 * np.pi, 80)
    x = 16 * np.sin(angles) ** 3
    y = 13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)
    return np.stack([x, -y], axis=1) / 15


def _cross(arm: float) -> Outline:
    quarter = np.array([(arm, -1.0), (arm, -arm), (1.0, -arm)])
    turns = ([[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]])
    return np.concatenate([quarter @ np.array(turn) for turn in turns])


OUTLINES: Mapping[str, Outline] = {
    "disc": _arc(0, 1, 0.95),
    "ring": _arc(0, 1, 1.05),
    "square": _polygon(1.15, 1.15, 1.15, 1.15, first_angle=0.125),
    "triangle": _polygon(1.25, 1.25, 1.25),
    "star": _polygon(*[1.25, 0.6] * 5),
    "cross": _cross(0.36),
    "crescent": np.concatenate([_arc(0.11, 0.89, 1.1, -0.1), _arc(0.8, 0.2, 0.84, 0.35)]),
    "heart": _heart(),
}

HOLES: Mapping[str, Outline] = {"ring": _arc(0, 1, 0.5)}
"""What is cut out of a body."""

EYES: Mapping[str, tuple[float, float]] = {
    "disc": (0.0, -0.2),
    "ring": (0.0, -0.78),
    "square": (0.0, -0.2),
    "triangle": (0.0, 0.1),
    "star": (0.0, -0.08),
    "cross": (0.0, -0.05),
    "crescent": (-0.87, -0.1),
    "heart": (0.0, -0.25),
}
"""The point between the two eyes."""
