"""Frames as pixels, turned and mirrored as players show them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

_MATRIX_BYTES = 36


def to_rgb(frame: "VideoFrame", size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Convert a frame to RGB, upright.

    Args:
        frame: The frame.
        size: Height and width to scale it to. None leaves them.

    Returns:
        Shape: (height, width, 3).
    """
    is_transposed, flips_rows, flips_columns = _orientation(frame)
    height, width = frame.height, frame.width
    if size is not None:
        height, width = reversed(size) if is_transposed else size
    rgb = frame.reformat(width=width, height=height, format="rgb24")
    pixels = rgb.to_ndarray().astype(np.uint8, copy=False)
    if is_transposed:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if flips_rows else 1, :: -1 if flips_columns else 1]


def _orientation(frame: "VideoFrame") -> tuple[bool, bool, bool]:
    """Say whether a frame is transposed, then has its rows and its columns reversed.

    The matrix ((a, b), (c, d)) shows what is stored at (x, y) at (ax + cy, bx + dy). Of the eight
    orientations of a rectangle the nearest one counts.
    """
    from av.sidedata.sidedata import Type

    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None or len(bytes(matrix)) < _MATRIX_BYTES:
        return False, False, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0
