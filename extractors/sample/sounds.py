"""Sings a thing's note in its voice and rhythm."""

import numpy as np
from numpy.typing import NDArray

from extractors.sample.vocabulary import NOTES_HZ, PULSES_HZ, VOICES
from extractors.sample.world import Thing

SAMPLE_RATE_HZ = 16_000
SECONDS = 1.0

_HIGHEST_HZ = 0.45 * SAMPLE_RATE_HZ
"""Partials above it would fold back below the Nyquist frequency."""


def sing(thing: Thing, rng: np.random.Generator) -> NDArray[np.float32]:
    """Sing once: each time a little out of tune, from another distance, over some hiss.

    Returns:
        Mono samples in [-1, 1] at `SAMPLE_RATE_HZ`. Shape: (num_samples,).
    """
    seconds = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    note_hz = NOTES_HZ[thing.traits["note"]] * 2 ** (rng.normal(0, 0.15) / 12)
    tone = np.zeros_like(seconds)
    for multiple, amplitude in VOICES[thing.traits["voice"]].items():
        if multiple * note_hz < _HIGHEST_HZ:
            phase = rng.uniform(0, 2 * np.pi)
            tone += amplitude * np.sin(2 * np.pi * multiple * note_hz * seconds + phase)
    tone *= _strokes(PULSES_HZ[thing.traits["rhythm"]], seconds, rng)
    loudness = rng.uniform(0.3, 0.8) / np.abs(tone).max()
    hiss = rng.normal(0, rng.uniform(0.002, 0.01), size=len(seconds))
    samples: NDArray[np.float64] = np.clip(loudness * tone + hiss, -1, 1)
    return samples.astype(np.float32)


def _strokes(
    pulses_hz: float, seconds: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the loudness over time: one held stroke, or strokes that fade in between."""
    fade: NDArray[np.float64] = np.minimum(1.0, np.minimum(seconds, seconds[-1] - seconds) / 0.03)
    if pulses_hz == 0:
        return fade
    since_stroke = (seconds * pulses_hz + rng.uniform()) % 1
    fade *= np.minimum(1.0, since_stroke / 0.05) * np.exp(-4 * since_stroke)
    return fade
