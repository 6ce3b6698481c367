"""Frames as pixels, turned and mirrored as players show them."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

_MATRIX_BYTES = 36


class Orientation(NamedTuple):
    """What to do with stored pixels, in this order, to have them upright."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


class OrientedFrame(NamedTuple):
    """A decoded frame, and how to have it upright."""

    frame: "VideoFrame"
    orientation: Orientation


def oriented(frame: "VideoFrame", previous: OrientedFrame | None) -> OrientedFrame:
    """Find how a frame is to be turned: as it says, or as the one before it since a key frame."""
    own = _read_matrix(frame)
    if own is None:
        own = Orientation() if previous is None or frame.key_frame else previous.orientation
    return OrientedFrame(frame, own)


def to_rgb(shown: OrientedFrame, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Convert a frame to RGB, upright.

    Args:
        shown: The frame.
        size: Height and width to scale it to. None leaves them.

    Returns:
        Shape: (height, width, 3).
    """
    frame, (transpose, flip_rows, flip_columns) = shown
    height, width = frame.height, frame.width
    if size is not None:
        height, width = reversed(size) if transpose else size
    rgb = frame.reformat(width=width, height=height, format="rgb24")
    pixels = rgb.to_ndarray().astype(np.uint8, copy=False)
    if transpose:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _read_matrix(frame: "VideoFrame") -> Orientation | None:
    """Read the display matrix of a frame, if it has one.

    The matrix ((a, b), (c, d)) shows what is stored at (x, y) at (ax + cy, bx + dy). Of the eight
    orientations of a rectangle, the nearest one counts.
    """
    from av.sidedata.sidedata import Type

    matrix = bytes(frame.side_data.get(Type.DISPLAYMATRIX) or b"")  # type: ignore[call-overload]
    if len(matrix) < _MATRIX_BYTES:
        return None
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).astype(np.int64).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, d < 0, a < 0)
    return Orientation(True, b < 0, c < 0)
