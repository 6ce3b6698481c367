"""Clips: a few frames spread over the whole of whatever FFmpeg decodes."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.clips.frames import all_frames, frames_by_seeking, moving_pictures
from extractors.media.clips.index import ClipIndex, read_index
from extractors.media.clips.upright import to_rgb
from extractors.media.container import open_container

Frames = NDArray[np.uint8]


def read_frames(path: Path, num_frames: int) -> Frames:
    """Read frames at the midpoints of equal segments of a clip, upright.

    They are those that decoding the whole clip gives, in the order in which it is shown. A clip
    with fewer frames yields all of them and repeats its last. Frames are counted, not timed, so
    one that is shown for long counts as any other. Should their size change, all are scaled to
    that of the first one read.

    Returns:
        RGB. Shape: (num_frames, height, width, 3).

    Raises:
        MediaError: If it is no clip, holds no frame, or frames of more than `MAX_FRAME_PIXELS`,
            or is damaged where a frame is read.
    """
    index = _index_of(path)
    if index.times.size:
        with suppress(MediaError):
            return _read_by_seeking(path, index, num_frames)
    return _read_with_ffmpeg(path, num_frames, index.num_packets)


def duration_seconds(path: Path) -> float:
    """Return a clip's duration as its container tells it, else as its packets do, else 0.

    Raises:
        MediaError: If FFmpeg cannot open it.
    """
    import av

    with open_container(path, "clip") as container:
        if container.duration is not None:
            return container.duration / av.time_base
        stream = moving_pictures(container)
        return float(read_index(container, stream).num_units * (stream.time_base or 0))


def frame_indices(num_available: int, num_frames: int) -> NDArray[np.intp]:
    """Choose the frames to read. Shape: (num_frames,), ascending, below `num_available`."""
    positions = np.arange(num_frames)
    if num_available < num_frames:
        return np.minimum(positions, num_available - 1)
    return ((positions + 0.5) * num_available / num_frames).astype(np.intp)


def _index_of(path: Path) -> ClipIndex:
    with open_container(path, "clip") as container:
        return read_index(container, moving_pictures(container))


def _read_by_seeking(path: Path, index: ClipIndex, num_frames: int) -> Frames:
    """Decode only what leads to the wanted frames."""
    wanted = frame_indices(len(index.times), num_frames).tolist()
    read: dict[int, Frames] = {}
    for number, frame in frames_by_seeking(path, index, sorted(set(wanted))):
        read[number] = to_rgb(frame, _size_of(read.values()))
    return np.stack([read[number] for number in wanted])


def _read_with_ffmpeg(path: Path, num_frames: int, num_expected: int = 0) -> Frames:
    """Decode everything and count: once if there are as many frames as expected, else twice."""
    num_available, read = _decode_numbers(path, frame_indices(num_expected, num_frames))
    if not num_available:
        raise MediaError("holds no frame that can be decoded")
    wanted = frame_indices(num_available, num_frames)
    if num_available != num_expected:
        read.clear()
        _, read = _decode_numbers(path, wanted)
    damaged = [number for number in wanted.tolist() if number not in read]
    if damaged:
        raise MediaError(f"damaged: frame {damaged[0]} of {num_available} cannot be decoded")
    return np.stack([read[number] for number in wanted.tolist()])


def _decode_numbers(path: Path, wanted: NDArray[np.intp]) -> tuple[int, dict[int, Frames]]:
    """Count all frames, and convert the wanted ones that are sound.

    A last one that is damaged does not count: a file that was cut ends amid a frame.
    """
    numbers = set(wanted.tolist())
    read: dict[int, Frames] = {}
    num_available = 0
    for number, frame in enumerate(all_frames(path)):
        if number in numbers and frame is not None:
            read[number] = to_rgb(frame, _size_of(read.values()))
        num_available = number + (frame is not None)
    return num_available, read


def _size_of(read: Collection[Frames]) -> tuple[int, int] | None:
    """Return height and width of the first frame read, if any is."""
    return next(((frame.shape[0], frame.shape[1]) for frame in read), None)
