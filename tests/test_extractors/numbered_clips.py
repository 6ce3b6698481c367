"""Makes clips whose frames carry their own number, in any container and codec FFmpeg can write."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from media_files import kept_scheduling
from numpy.typing import NDArray

NUM_FRAMES = 300
RATE = 25
KEY_DISTANCE = 25

_ROWS, _COLUMNS = 3, 4
_NUMBER_BITS, _CHECK_MODULUS = 9, 7
_DARK, _BRIGHT = 50, 205
_LEAST_CONTRAST = 30

Packets = list[Any]


@dataclass(frozen=True)
class Recipe:
    """How to write a clip.

    Attributes:
        suffix: What the file is named after, and so its container if `container` is None.
        codec: FFmpeg's name of the encoder.
        options: The encoder's options.
        container: FFmpeg's name of the muxer.
        container_options: The muxer's options.
        pix_fmt: Format of the pixels.
        size: Height and width.
        rate: Frames a second.
        b_frames: How many in a row.
        key_distance: Frames from one key frame to the next.
        packets: Changes the list of packets before they are written.
    """

    suffix: str
    codec: str
    options: Mapping[str, str] = field(default_factory=dict)
    container: str | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (48, 64)
    rate: int = RATE
    b_frames: int | None = None
    key_distance: int = KEY_DISTANCE
    packets: Callable[[Packets], Packets] | None = None


def picture_of(number: int, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """Draw a number as dark and bright blocks that survive lossy codecs. Shape: (h, w, 3)."""
    code = number | number % _CHECK_MODULUS << _NUMBER_BITS
    bits = np.array([code >> bit & 1 for bit in range(_ROWS * _COLUMNS)]).reshape(_ROWS, _COLUMNS)
    rows = np.arange(size[0]) * _ROWS // size[0]
    columns = np.arange(size[1]) * _COLUMNS // size[1]
    levels = np.where(bits[rows][:, columns], _BRIGHT, _DARK).astype(np.uint8)
    return np.repeat(levels[..., np.newaxis], 3, axis=2)


def number_of(frame: NDArray[np.uint8]) -> int:
    """Read the number of a frame, -1 if it shows none, as where two frames mix."""
    height, width = frame.shape[0] // _ROWS, frame.shape[1] // _COLUMNS
    levels = np.array(
        [
            frame[row * height :, column * width :][
                height // 4 : height - height // 4, width // 4 : width - width // 4
            ].mean()
            for row in range(_ROWS)
            for column in range(_COLUMNS)
        ]
    )
    middle = (_DARK + _BRIGHT) / 2
    code = sum(1 << bit for bit, level in enumerate(levels) if level > middle)
    number = code & (1 << _NUMBER_BITS) - 1
    is_clear = np.abs(levels - middle).min() > _LEAST_CONTRAST
    return number if is_clear and code >> _NUMBER_BITS == number % _CHECK_MODULUS else -1


def write_numbered(
    path: Path, recipe: Recipe, numbers: Iterable[int] = range(NUM_FRAMES)
) -> Path:
    """Encode a frame for each number."""
    with kept_scheduling(), av.open(
        path, "w", format=recipe.container, options=dict(recipe.container_options)
    ) as container:
        stream: Any = container.add_stream(
            recipe.codec, rate=recipe.rate, options=dict(recipe.options)
        )
        (stream.height, stream.width), stream.pix_fmt = recipe.size, recipe.pix_fmt
        stream.codec_context.gop_size = recipe.key_distance
        if recipe.b_frames is not None:
            stream.codec_context.max_b_frames = recipe.b_frames
        packets = encode(stream, (picture_of(number, recipe.size) for number in numbers))
        for packet in packets if recipe.packets is None else recipe.packets(packets):
            container.mux(packet)
    return path


def encode(stream: Any, pictures: Iterable[NDArray[np.uint8]]) -> Packets:
    """Encode pictures."""
    packets: Packets = []
    for picture in pictures:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        packets += stream.encode(frame)
    return packets + list(stream.encode(None))


def numbers_of(frames: Iterable[NDArray[np.uint8]]) -> Sequence[int]:
    """Read the numbers of frames."""
    return [number_of(frame) for frame in frames]
