"""Frames of a clip by decord, where its way of seeking is known to be right.

decord seeks to a key frame and counts from there, without comparing a frame's time with anything.
That is right where each packet is one frame and nothing that follows a key packet is shown before
it, in containers that store when frames are shown. In others it returned other frames. So its last
frame is compared with the one that verified seeking finds: if it lost count, that one is wrong.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.clip_frames import frames_by_seeking
from extractors.media.clip_index import ClipIndex
from extractors.media.upright import to_rgb

_MOST_DIFFERENCE = 4.0
"""Of 255 levels, mean over a frame: versions of FFmpeg convert colours somewhat differently."""


def frames_by_decord(path: Path, index: ClipIndex, ranks: Sequence[int]) -> NDArray[np.uint8]:
    """Read frames by their numbers.

    Args:
        path: The clip.
        index: Its index, with times.
        ranks: Numbers of the wanted frames, ascending.

    Returns:
        RGB, upright. Shape: (len(ranks), height, width, 3).

    Raises:
        MediaError: If decord cannot read the clip, or sees other frames in it.
    """
    if not index.suits_decord:
        raise MediaError("decord may lose count in such a clip")
    frames = _read(path, ranks)
    for _, last in frames_by_seeking(path, index, ranks[-1:]):
        expected = to_rgb(last)
    if expected.shape != frames.shape[1:]:
        raise MediaError("decord shows frames of another size")
    if np.abs(frames[-1].astype(np.int16) - expected).mean() > _MOST_DIFFERENCE:
        raise MediaError("decord shows other frames")
    return frames


def _read(path: Path, ranks: Sequence[int]) -> NDArray[np.uint8]:
    """Read frames; by one thread and a fresh reader, since decord is known to hang otherwise."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        frames: NDArray[np.uint8] = reader.get_batch(ranks).asnumpy()
    except (decord.DECORDError, IndexError, ValueError, OSError) as error:
        raise MediaError(f"decord cannot read it: {error}") from error
    return frames
