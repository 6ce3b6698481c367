"""Sounds: whatever libsndfile or FFmpeg decodes, as mono samples at one rate."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.container import has_known_codec, open_container

if TYPE_CHECKING:
    import soundfile
    from av.container import InputContainer

Samples = NDArray[np.float32]

MAX_RATE_HZ = 1_000_000
"""The resampler's filter grows with the rate, to gigabytes for what a damaged header may claim."""

_FILTER_SAMPLES = 64  # at least as many as the resampler's filter spans, at the lower rate


def read_sound(path: Path, sample_rate_hz: int, max_seconds: float) -> Samples:
    """Read the beginning of a sound, all channels averaged, resampled.

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
    samples, rate_hz = _decode(path, max_seconds)
    if rate_hz > MAX_RATE_HZ:
        raise MediaError(f"{rate_hz} samples a second; allowed: at most {MAX_RATE_HZ}")
    if not samples.size:
        raise MediaError("holds no samples")
    if not np.isfinite(samples).all():
        raise MediaError("holds samples that are not finite numbers")
    return resample(samples, rate_hz, sample_rate_hz)


def resample(samples: Samples, rate_hz: int, new_rate_hz: int) -> Samples:
    """Resample mono samples, band-limited.

    What is shorter than the resampler's filter is taken as followed by silence.

    Args:
        samples: At least one. Shape: (n,).
        rate_hz: Their rate.
        new_rate_hz: The rate wanted.

    Returns:
        Shape: (about n * new_rate_hz / rate_hz, but at least 1,).
    """
    if rate_hz == new_rate_hz:
        return samples
    resampled = _run_resampler(samples, rate_hz, new_rate_hz)
    if resampled.size:
        return resampled
    silence = _FILTER_SAMPLES * -(-rate_hz // new_rate_hz)
    followed = _run_resampler(np.pad(samples, (0, silence)), rate_hz, new_rate_hz)
    return followed[: max(1, round(len(samples) * new_rate_hz / rate_hz))]


def _run_resampler(samples: Samples, rate_hz: int, new_rate_hz: int) -> Samples:
    """Resample by FFmpeg, which gives nothing at all before its filter is full."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=new_rate_hz)
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = rate_hz
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    pieces = [piece.to_ndarray()[0] for piece in frames]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float32)


def _decode(path: Path, max_seconds: float) -> tuple[Samples, int]:
    """Decode by libsndfile, and by FFmpeg what that does not know or finds nothing in.

    Returns:
        Samples and their rate.
    """
    import soundfile

    # A descriptor has no name, from whose extension soundfile would conclude that it is raw.
    with (
        suppress(soundfile.LibsndfileError),
        path.open("rb") as raw,
        soundfile.SoundFile(raw.fileno(), closefd=False) as file,
    ):
        samples = _read_soundfile(file, max_seconds)
        if samples.size:
            return samples, file.samplerate
    return _decode_with_ffmpeg(path, max_seconds)


def _read_soundfile(file: "soundfile.SoundFile", max_seconds: float) -> Samples:
    """Read and average the channels; a file shorter than its header says is damaged."""
    wanted = min(int(max_seconds * file.samplerate), file.frames)
    channels: Samples = file.read(wanted, dtype="float32", always_2d=True)
    if len(channels) < wanted:
        raise MediaError(f"damaged: ends after {len(channels)} of {file.frames} samples")
    mono: Samples = channels.mean(axis=1, dtype=np.float32)
    return mono


def _decode_with_ffmpeg(path: Path, max_seconds: float) -> tuple[Samples, int]:
    """Decode the first sound track of anything FFmpeg knows."""
    with open_container(path, "sound") as container:
        if not container.streams.audio:
            raise MediaError("holds no sound track")
        if not has_known_codec(container.streams.audio[0]):
            raise MediaError("holds a sound track of an unknown codec")
        return _read_stream(container, max_seconds)


def _read_stream(container: "InputContainer", max_seconds: float) -> tuple[Samples, int]:
    """Decode the first sound stream up to `max_seconds`, and average its channels."""
    import av

    stream = container.streams.audio[0]
    to_planar_float = av.AudioResampler(format="fltp")
    pieces: list[Samples] = []
    num_samples, rate_hz = 0, stream.rate
    for decoded in container.decode(stream):
        for frame in to_planar_float.resample(decoded):
            pieces.append(frame.to_ndarray().mean(axis=0, dtype=np.float32))
            num_samples, rate_hz = num_samples + frame.samples, frame.sample_rate
        if num_samples >= max_seconds * rate_hz:
            break
    samples = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float32)
    return samples[: int(max_seconds * rate_hz)], rate_hz
