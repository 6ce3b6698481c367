"""Clips: a few frames spread over the whole of whatever decord or FFmpeg decodes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError

if TYPE_CHECKING:
    from av import VideoFrame

Frames = NDArray[np.uint8]

_QUARTER_TURN_DEGREES = 90


def read_frames(path: Path, num_frames: int) -> Frames:
    """Read frames at the midpoints of equal segments of a clip, upright.

    A clip with fewer frames yields all of them and repeats its last.

    Returns:
        RGB. Shape: (num_frames, height, width, 3).

    Raises:
        MediaError: If it is no clip, damaged, or holds no frame.
    """
    try:
        return _read_with_decord(path, num_frames)
    except Exception:  # decord raises anything, and knows neither AV1 nor quarter turns
        return _read_with_ffmpeg(path, num_frames)


def duration_seconds(path: Path) -> float:
    """Return a clip's duration as its container tells it, 0 if it does not.

    Raises:
        MediaError: If FFmpeg cannot open it.
    """
    import av

    try:
        with av.open(path) as container:
            return (container.duration or 0) / av.time_base
    except av.FFmpegError as error:
        raise MediaError(f"not a clip that can be decoded: {error.strerror}") from None


def frame_indices(num_available: int, num_frames: int) -> NDArray[np.intp]:
    """Choose the frames to read. Shape: (num_frames,), ascending, below `num_available`."""
    positions = np.arange(num_frames)
    if num_available < num_frames:
        return np.minimum(positions, num_available - 1)
    return ((positions + 0.5) * num_available / num_frames).astype(np.intp)


def _read_with_decord(path: Path, num_frames: int) -> Frames:
    """Read by decord; one thread and a fresh reader, since it is known to hang otherwise."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    frames: Frames = reader.get_batch(frame_indices(len(reader), num_frames)).asnumpy()
    return frames


def _read_with_ffmpeg(path: Path, num_frames: int) -> Frames:
    """Count the packets, then decode up to the last frame wanted.

    Many containers do not say how many frames they hold, hence the first pass.
    """
    import av

    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise MediaError("holds no moving pictures")
            num_available = sum(packet.size > 0 for packet in container.demux(video=0))
        if not num_available:
            raise MediaError("holds no frame")
        return _decode_frames(path, frame_indices(num_available, num_frames))
    except av.FFmpegError as error:
        raise MediaError(f"not a clip that can be decoded: {error.strerror}") from None


def _decode_frames(path: Path, indices: NDArray[np.intp]) -> Frames:
    """Decode the frames at ascending indices; the last one found stands in for any beyond."""
    import av

    wanted = set(indices.tolist())
    chosen: list[Frames] = []
    last = None
    with av.open(path) as container:
        for index, last in enumerate(container.decode(video=0)):
            if index in wanted:
                chosen.append(_to_rgb(last))
            if index == indices[-1]:
                break
        if last is None:
            raise MediaError("holds no frame")
        if len(chosen) < len(indices):
            chosen.append(_to_rgb(last))
    return np.stack(chosen + chosen[-1:] * (len(indices) - len(chosen)))


def _to_rgb(frame: "VideoFrame") -> Frames:
    """Convert a frame, turned as its container asks. Shape: (height, width, 3)."""
    pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return np.rot90(pixels, round(frame.rotation / _QUARTER_TURN_DEGREES))
