"""Sounds as statistics of their mel spectrogram; needs no weights.

Mel scale as in HTK (Young et al., "The HTK Book", 2006); centroid, roll-off and flatness as in
Peeters, "A large set of audio features for sound description" (IRCAM, 2004).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, RawContent
from extractors.media.sound import read_sound
from extractors.media.sounds.decoding import Samples

_WINDOW_SECONDS, _HOP_SECONDS = 0.032, 0.016
_POWER_FLOOR = 1e-10  # -100 dB: digital silence has no logarithm
_ROLLOFF_SHARE = 0.85
_PITCH_CLASSES = 12
_LOWEST_PITCH_HZ = 130.0  # below, a frequency bin spans several semitones
_MODULATION_EDGES_HZ = (0.5, 2.0, 4.0, 8.0, 16.0)
_NUM_CURVES, _NUM_CURVE_STATISTICS = 6, 3

Values = NDArray[np.float64]


class AudioMelConfig(ExtractorConfig):
    """Config of `audio_mel`."""

    sample_rate_hz: int = Field(
        16_000, ge=8_000, le=48_000, description="Sample rate that sounds are brought to."
    )
    max_seconds: float = Field(
        60.0, gt=0, le=600, description="Seconds of a sound that are read, from its start."
    )
    num_mels: int = Field(40, ge=8, le=80, description="Mel bands.")


class AudioMel(Extractor[AudioMelConfig, NDArray[np.float32]]):
    """Statistics of a sound; they are made where it is decoded, so that little travels."""

    name = "audio_mel"
    modality = "audio"
    item_kind = "file"
    version = 3
    Config = AudioMelConfig

    @property
    def dim(self) -> int:
        """Length of a row."""
        curves = _NUM_CURVES * _NUM_CURVE_STATISTICS
        return 3 * self.config.num_mels + _PITCH_CLASSES + curves + len(_MODULATION_EDGES_HZ)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the config."""
        return self.config.model_dump()

    def load(self, content: RawContent) -> NDArray[np.float32]:
        """Read a sound and describe it. Shape: (dim,)."""
        rate_hz = self.config.sample_rate_hz
        samples = read_sound(Path(str(content)), rate_hz, self.config.max_seconds)
        return sound_statistics(samples, rate_hz, self.config.num_mels)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)


def sound_statistics(samples: Samples, rate_hz: int, num_mels: int) -> NDArray[np.float32]:
    """Describe a sound by its spectrum, its melody, its rhythm and its length.

    Levels are in units of 10 dB, frequencies in octaves, so that all values are of similar size.

    Args:
        samples: At least one sample. Shape: (num_samples,).
        rate_hz: Samples a second.
        num_mels: Mel bands.

    Returns:
        Mean, deviation and mean change of every mel band; shares of the pitch classes; mean,
        deviation and 95th percentile of loudness, onset strength, centroid, roll-off, flatness
        and zero crossings; shares of slow to fast changes of loudness; log10 of the seconds.
        Shape: (3 * num_mels + 35,).
    """
    frames = _frames(samples, rate_hz)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]))) ** 2 / frames.shape[1]
    mels = _level(power @ _mel_filters(frames.shape[1], rate_hz, num_mels))
    changes = np.diff(mels, axis=0, prepend=mels[:1])
    loudness = _level(power.sum(axis=1))
    onsets = np.maximum(changes, 0).mean(axis=1)
    curves = np.stack([loudness, onsets, *_spectral_curves(power, rate_hz), _crossings(frames)])
    groups = (
        *(mels.mean(axis=0), mels.std(axis=0), np.abs(changes).mean(axis=0)),
        _pitch_class_shares(power.mean(axis=0), rate_hz),
        *(curves.mean(axis=1), curves.std(axis=1), np.percentile(curves, 95, axis=1)),
        _modulation_shares(loudness),
        [np.log10(len(samples) / rate_hz)],
    )
    return np.concatenate(groups).astype(np.float32)


def _frames(samples: Samples, rate_hz: int) -> Values:
    """Cut into overlapping windows. Shape: (num_frames, window_samples)."""
    window, hop = int(_WINDOW_SECONDS * rate_hz), int(_HOP_SECONDS * rate_hz)
    padded = np.pad(samples.astype(np.float64), (0, max(window - len(samples), 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]


def _level(power: Values) -> Values:
    """Return power in units of 10 dB."""
    return np.log10(power + _POWER_FLOOR)


@lru_cache
def _mel_filters(window_samples: int, rate_hz: int, num_mels: int) -> Values:
    """Return triangular filters. Shape: (window_samples // 2 + 1, num_mels)."""
    bins_hz = np.fft.rfftfreq(window_samples, 1 / rate_hz)[:, np.newaxis]
    highest_mel = 2595 * np.log10(1 + rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest_mel, num_mels + 2) / 2595) - 1)
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising, falling = (bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre)
    return np.maximum(np.minimum(rising, falling), 0)


def _pitch_class_shares(spectrum: Values, rate_hz: int) -> Values:
    """Return the square roots of the shares of the twelve semitones. Shape: (12,)."""
    bins_hz = np.linspace(0, rate_hz / 2, len(spectrum))
    pitched = bins_hz >= _LOWEST_PITCH_HZ
    semitones = np.rint(12 * np.log2(bins_hz[pitched] / 440)).astype(np.intp) % _PITCH_CLASSES
    power = np.bincount(semitones, spectrum[pitched], minlength=_PITCH_CLASSES)
    return np.sqrt(_shares(power.astype(np.float64)))


def _spectral_curves(power: Values, rate_hz: int) -> tuple[Values, Values, Values]:
    """Return centroid and roll-off in octaves above 100 Hz, and flatness, by frame."""
    bins_hz = np.linspace(0, rate_hz / 2, power.shape[1])
    power = power + _POWER_FLOOR
    total = power.sum(axis=1)
    centroid_hz = power @ bins_hz / total
    rolloff_hz = bins_hz[(power.cumsum(axis=1) < _ROLLOFF_SHARE * total[:, np.newaxis]).sum(axis=1)]
    flatness = np.log10(power).mean(axis=1) - np.log10(total / power.shape[1])
    return np.log2(1 + centroid_hz / 100), np.log2(1 + rolloff_hz / 100), flatness


def _crossings(frames: Values) -> Values:
    """Return the share of neighbouring samples between which the sign changes, by frame."""
    shares: Values = np.diff(np.signbit(frames), axis=1).mean(axis=1)
    return shares


def _modulation_shares(loudness: Values) -> Values:
    """Return the square roots of the shares of slow to fast changes of loudness. Shape: (4,)."""
    spectrum = np.abs(np.fft.rfft(loudness - loudness.mean())) ** 2
    bins_hz = np.fft.rfftfreq(len(loudness), _HOP_SECONDS)
    return np.sqrt(_shares(np.histogram(bins_hz, _MODULATION_EDGES_HZ, weights=spectrum)[0]))


def _shares(values: Values) -> Values:
    """Scale to sum 1; nothing stays nothing."""
    total = values.sum()
    return values / total if total > 0 else values
