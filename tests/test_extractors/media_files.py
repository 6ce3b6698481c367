"""Makes small real media files."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def draw_picture(path: Path, colour: str, shape: str, size: int = 96) -> Path:
    """Draw a shape on white."""
    picture = Image.new("RGB", (size, size), "white")
    draw = getattr(ImageDraw.Draw(picture), shape)
    draw((size // 4, size // 4, 3 * size // 4, 3 * size // 4), fill=colour)
    picture.save(path)
    return path


def write_clip(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures, each of shape (height, width, 3), as ten frames a second."""
    with kept_scheduling(), av.open(path, "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Undo what SVT-AV1 does to the thread that calls it, if it is root's.

    It makes the thread a real-time one, and so all processes that are started later: one that
    spins would stop every other on the machine.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_gray_clip(path: Path, levels: Sequence[int], codec: str = "libx264") -> Path:
    """Encode one frame of a single gray level for each of `levels`."""
    return write_clip(path, [np.full((48, 64, 3), level, np.uint8) for level in levels], codec)


def turn_mp4(path: Path, matrix: Sequence[float]) -> None:
    """Have players turn or mirror a clip, as telephones do: by the matrix in its track header."""
    content = path.read_bytes()
    unturned = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = content.index(unturned, content.index(b"tkhd"))
    a, b, c, d = (round(value * (1 << 16)) for value in matrix)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:place] + turned + content[place + len(turned) :])


def write_sound_with_ffmpeg(
    path: Path,
    samples: NDArray[np.float32],
    rate_hz: int,
    codec: str = "aac",
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Encode mono samples. Shape: (num_samples,)."""
    with av.open(path, "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono", options=codec_options)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_music_with_cover(path: Path, samples: NDArray[np.float32], rate_hz: int) -> None:
    """Encode mono samples as MP3, with a picture in its ID3 tag. Shape: (num_samples,)."""
    soundfile.write(path, samples, rate_hz, format="MP3")
    cover = draw_picture(path.with_suffix(".cover.png"), "red", "ellipse").read_bytes()
    data = b"\0image/png\0\x03\0" + cover
    frame = b"APIC" + struct.pack(">I", len(data)) + b"\0\0" + data
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())


def sine(frequency_hz: float, seconds: float, rate_hz: int) -> NDArray[np.float32]:
    """Synthesise a tone of half the full level. Shape: (num_samples,)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
