"""Frames of a clip by decord, where its way of seeking is known to be right.

decord seeks to a key frame and counts from there, without comparing a frame's time with anything.
Where a decoder leaves out a damaged frame, or a fragment is sought, it returned other frames. So it
is given clips only whose every frame is a key frame, and each of its frames is compared with the
one that verified seeking finds.
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
    for pixels, (_, shown) in zip(frames, frames_by_seeking(path, index, ranks), strict=True):
        expected = to_rgb(shown)
        if expected.shape != pixels.shape:
            raise MediaError("decord shows frames of another size")
        if np.abs(pixels.astype(np.int16) - expected).mean() > _MOST_DIFFERENCE:
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
