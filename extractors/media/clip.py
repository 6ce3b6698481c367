"""Clips: a few frames spread over the whole of whatever decord or FFmpeg decodes."""

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.container import has_known_codec, open_container

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]

MAX_FRAME_PIXELS = 8192 * 4320
"""8K: 16 such frames are 1.6 GiB of RGB. A file of some kB may claim frames of any size."""

_DECORD_FORMATS = ("mov", "matroska", "avi", "asf", "flv")
"""Formats whose frames decord finds; in MPEG streams it seeks to others than those asked for."""

_MAX_DECORD_FRAMES = 10_000_000
"""Four days. Decord makes room for as many as a header claims, and crashes if it cannot."""

_NUMBERED_FILES = re.compile(r"%\d*d")
"""What decord may take for the name of many files, a picture each."""

_QUARTER_TURN_DEGREES = 90


def read_frames(path: Path, num_frames: int) -> Frames:
    """Read frames at the midpoints of equal segments of a clip, upright.

    A clip with fewer frames yields all of them and repeats its last. Frames are counted, not
    timed, so one that is shown for long counts as any other. Should their size change, all are
    scaled to that of the first.

    Returns:
        RGB. Shape: (num_frames, height, width, 3).

    Raises:
        MediaError: If it is no clip, damaged, holds no frame, or frames of more than
            `MAX_FRAME_PIXELS`.
    """
    if _suits_decord(path):
        with suppress(Exception):  # decord raises anything, and knows no AV1 nor quarter turns
            return _read_with_decord(path, num_frames)
    return _read_with_ffmpeg(path, num_frames)


def duration_seconds(path: Path) -> float:
    """Return a clip's duration as its container tells it, 0 if it does not.

    Raises:
        MediaError: If FFmpeg cannot open it.
    """
    import av

    with open_container(path, "clip") as container:
        return (container.duration or 0) / av.time_base


def frame_indices(num_available: int, num_frames: int) -> NDArray[np.intp]:
    """Choose the frames to read. Shape: (num_frames,), ascending, below `num_available`."""
    positions = np.arange(num_frames)
    if num_available < num_frames:
        return np.minimum(positions, num_available - 1)
    return ((positions + 0.5) * num_available / num_frames).astype(np.intp)


def _suits_decord(path: Path) -> bool:
    """Whether decord finds the right frames, once the clip is known to hold some of fair size."""
    with open_container(path, "clip") as container:
        num_frames = _moving_pictures(container).frames
        format_name = container.format.name.partition(",")[0]
    return (
        format_name in _DECORD_FORMATS
        and num_frames <= _MAX_DECORD_FRAMES
        and not _NUMBERED_FILES.search(str(path))
    )


def _moving_pictures(container: "InputContainer") -> "VideoStream":
    """Return the stream to read; the cover of a piece of music is none."""
    from av.stream import Disposition
    from av.video.stream import VideoStream

    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise MediaError("holds no moving pictures")
    if not has_known_codec(stream):
        raise MediaError("holds moving pictures of an unknown codec")
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        size = f"{stream.width} x {stream.height}"
        raise MediaError(f"frames of {size} are larger than {MAX_FRAME_PIXELS} pixels")
    return stream


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
    with open_container(path, "clip") as container:
        packets = container.demux(_moving_pictures(container))
        num_available = sum(packet.size > 0 for packet in packets)
    if not num_available:
        raise MediaError("holds no frame")
    with open_container(path, "clip") as container:
        return _decode_frames(container, frame_indices(num_available, num_frames))


def _decode_frames(container: "InputContainer", indices: NDArray[np.intp]) -> Frames:
    """Decode the frames at ascending indices; the last one found stands in for any beyond."""
    wanted = set(indices.tolist())
    chosen: list[Frames] = []
    first = last = None
    for index, last in enumerate(container.decode(_moving_pictures(container))):
        first = first or last
        if index in wanted:
            chosen.append(_to_rgb(last, first))
        if index == indices[-1]:
            break
    if first is None or last is None:
        raise MediaError("holds no frame")
    if len(chosen) < len(indices):
        chosen.append(_to_rgb(last, first))
    return np.stack(chosen + chosen[-1:] * (len(indices) - len(chosen)))


def _to_rgb(frame: "VideoFrame", first: "VideoFrame") -> Frames:
    """Convert a frame, of the first one's size and turned as that asks. Shape: (h, w, 3)."""
    rgb = frame.reformat(width=first.width, height=first.height, format="rgb24")
    pixels = rgb.to_ndarray().astype(np.uint8, copy=False)
    return np.rot90(pixels, round(first.rotation / _QUARTER_TURN_DEGREES))
