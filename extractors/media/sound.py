"""Sounds: whatever FFmpeg or libsndfile decodes, as mono samples at one rate."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from extractors.base import MediaError
from extractors.media.sounds.decoding import Block, Samples, decode_sound

MAX_RATE_HZ = 1_000_000
"""The resampler's filter grows with the rate, to gigabytes for what a damaged header may claim."""

_FILTER_SAMPLES = 64  # at least as many as the resampler's filter spans, at the lower rate

_CALL_SAMPLES = 1 << 14


def read_sound(path: Path, sample_rate_hz: int, max_seconds: float) -> Samples:
    """Read the beginning of a sound, all channels averaged, resampled.

    No length in a header is relied on: the sound is decoded until `max_seconds` or its end. Memory
    grows with the samples returned, neither with channels nor with the sound's own rate.

    Args:
        path: A sound, or a clip with a sound track.
        sample_rate_hz: Rate of the samples returned.
        max_seconds: How much to read; the rest of a longer sound is never decoded.

    Returns:
        Samples, nominally within -1..1. Shape: (num_samples,), num_samples > 0.

    Raises:
        MediaError: If it is no sound, damaged, empty, faster than `MAX_RATE_HZ`, or holds samples
            that are not finite.
    """
    with closing(decode_sound(path)) as blocks:
        runs = groupby(_beginning(blocks, max_seconds), key=itemgetter(1))
        resampled = [
            _resample((samples for samples, _ in run), rate_hz, sample_rate_hz)
            for rate_hz, run in runs
        ]
    if not resampled:
        raise MediaError("holds no samples")
    return np.concatenate(resampled)


def _beginning(blocks: Iterable[Block], max_seconds: float) -> Iterator[Block]:
    """Yield the blocks of the first `max_seconds`, checked; none is empty."""
    left_seconds = Fraction(max_seconds)
    for whole, rate_hz in blocks:
        if rate_hz > MAX_RATE_HZ:
            raise MediaError(f"{rate_hz} samples a second; allowed: at most {MAX_RATE_HZ}")
        samples = whole[: int(left_seconds * rate_hz)]
        if not np.isfinite(samples).all():
            raise MediaError("holds samples that are not finite numbers")
        if samples.size:
            yield samples, rate_hz
        left_seconds -= Fraction(len(samples), rate_hz)
        if len(samples) < len(whole) or left_seconds <= 0:
            return


def _resample(blocks: Iterable[Samples], rate_hz: int, new_rate_hz: int) -> Samples:
    """Resample consecutive blocks of one rate, band-limited.

    What is shorter than the resampler's filter is taken as followed by silence.

    Args:
        blocks: At least one, none of them empty. Shape of each: (n,).
        rate_hz: Their rate.
        new_rate_hz: The rate wanted.

    Returns:
        Shape: (about n * new_rate_hz / rate_hz for n samples in all, but at least 1,).
    """
    if rate_hz == new_rate_hz:
        return np.concatenate(list(blocks))
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=new_rate_hz)
    resampled: list[Samples] = []
    waiting: list[Samples] = []
    for block in _joined(blocks):
        frame = av.AudioFrame.from_ndarray(block[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = rate_hz
        resampled += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        if not resampled:
            waiting.append(block)
    resampled += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    if resampled:
        return np.concatenate(resampled)
    short = np.concatenate(waiting)  # FFmpeg gives nothing at all before its filter is full
    silence = _FILTER_SAMPLES * -(-rate_hz // new_rate_hz)
    followed = _resample([np.pad(short, (0, silence))], rate_hz, new_rate_hz)
    return followed[: max(1, round(len(short) * new_rate_hz / rate_hz))]


def _joined(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Join blocks, for what a call of the resampler costs hardly grows with its samples."""
    waiting: list[Samples] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= _CALL_SAMPLES:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
