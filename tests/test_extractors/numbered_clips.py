"""Makes clips whose frames carry their own number, in any container and codec FFmpeg can write."""

import struct
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

_MOVIE_UNITS_A_FRAME = 1000 // RATE
_MEDIA_UNITS_A_FRAME = 512  # as FFmpeg writes MP4 of 25 frames a second

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

    def __str__(self) -> str:
        given = (*self.options.values(), *self.container_options.values())
        b_frames = "" if self.b_frames is None else f"{self.b_frames} B-frames"
        return " ".join(filter(None, (self.suffix, self.codec, b_frames, *given)))


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


def write_numbered(path: Path, recipe: Recipe, numbers: Iterable[int] = range(NUM_FRAMES)) -> Path:
    """Encode a frame for each number."""
    with (
        kept_scheduling(),
        av.open(
            path, "w", format=recipe.container, options=dict(recipe.container_options)
        ) as container,
    ):
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


def recipes() -> Sequence[Recipe]:
    """List one way or more to write every kind of container and codec."""
    x264 = {"x264-params": "open-gop=1:bframes=8:b-pyramid=2:keyint=30:scenecut=0"}
    x265 = {"x265-params": "log-level=none:open-gop=1:bframes=6:keyint=30:scenecut=0"}
    vpx = {"auto-alt-ref": "1", "lag-in-frames": "25", "deadline": "realtime", "cpu-used": "8"}
    av1 = {"preset": "8", "svtav1-params": "rc=0:qp=10:keyint=25"}
    return [
        *(Recipe(suffix, "libx264") for suffix in ("mp4", "m2ts", "f4v", "3gp", "ismv", "asf")),
        *(Recipe(suffix, "libx264", x264) for suffix in ("mp4", "mkv", "avi", "flv", "ts", "h264")),
        *(Recipe(suffix, "libx264") for suffix in ("avi", "mxf", "wtv", "nut", "vob")),
        *(Recipe(suffix, "libx265", x265) for suffix in ("mp4", "mkv", "ts", "hevc")),
        *(Recipe(suffix, "libvpx", vpx) for suffix in ("webm", "ogg", "ivf", "avi")),
        *(Recipe(suffix, "libvpx-vp9", vpx) for suffix in ("webm", "mp4", "ivf")),
        *(Recipe(suffix, "libsvtav1", av1) for suffix in ("mp4", "webm", "obu", "ivf", "avi")),
        *(Recipe(suffix, "mpeg4", b_frames=3) for suffix in ("mp4", "mkv", "avi", "asf", "m4v")),
        *(
            Recipe(suffix, "mpeg2video", b_frames=3)
            for suffix in ("mpg", "avi", "mxf", "ts", "m2v")
        ),
        *(Recipe(suffix, "mpeg1video", b_frames=3) for suffix in ("mpg", "mov", "m1v")),
        *(Recipe(suffix, "wmv2") for suffix in ("asf", "avi")),
        *(Recipe(suffix, "flv") for suffix in ("flv", "swf", "avi")),
        Recipe("avi", "msmpeg4"),
        Recipe("3gp", "h263", size=(96, 128)),
        Recipe("h261", "h261", size=(144, 176)),
        Recipe("rm", "rv20", size=(96, 128)),
        Recipe("rm", "rv10", size=(96, 128)),
        Recipe("mjpg", "mjpeg", container="mjpeg", pix_fmt="yuvj420p"),
        Recipe("mov", "prores_ks", pix_fmt="yuv422p10le"),
        Recipe("mxf", "dnxhd", {"profile": "dnxhr_lb"}, pix_fmt="yuv422p", size=(240, 320)),
        Recipe("mkv", "ffv1"),
        Recipe("avi", "huffyuv", pix_fmt="yuv422p"),
        Recipe("mov", "rawvideo", pix_fmt="rgb24"),
        Recipe("y4m", "wrapped_avframe", container="yuv4mpegpipe"),
        Recipe("gif", "gif", pix_fmt="rgb8"),
        Recipe("roq", "roqvideo", pix_fmt="yuvj444p", rate=30),
        Recipe("mkv", "snow", {"strict": "-2"}),
    ]


def with_edits(path: Path, parts: Iterable[tuple[int, int]]) -> None:
    """Have an MP4, whose index is at its end, show some parts: frames from one up to another."""
    content = path.read_bytes()
    moov = _box(content, b"moov", range(len(content)))
    trak = _box(content, b"trak", moov[8:])
    edts = _box(content, b"edts", trak[8:])
    (first_time,) = struct.unpack_from(">i", content, edts.start + 28)
    entries = b"".join(
        struct.pack(
            ">IiI",
            (end - begin) * _MOVIE_UNITS_A_FRAME,
            first_time + begin * _MEDIA_UNITS_A_FRAME,
            1 << 16,  # at normal speed
        )
        for begin, end in parts
    )
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(entries) // 12) + entries
    new = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    edited = bytearray(content[: edts.start] + new + content[edts.stop :])
    for box in (moov, trak):
        struct.pack_into(">I", edited, box.start, len(box) + len(new) - len(edts))
    path.write_bytes(edited)


def _box(content: bytes, name: bytes, inside: range) -> range:
    """Find a box among those of a part of an MP4."""
    place = inside.start
    while content[place + 4 : place + 8] != name:
        place += int.from_bytes(content[place : place + 4], "big")
    return range(place, place + int.from_bytes(content[place : place + 4], "big"))
