"""The corpus's clips, and files that are none."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from corpus import Case, Encoded, Failed, Make, content, cut, edited, renamed, zeroed_middle
from media_files import (
    draw_picture,
    kept_scheduling,
    sine,
    turn_mp4,
    write_clip,
    write_music_with_cover,
)
from numpy.typing import NDArray
from PIL import Image

from extractors.media.clips.frames import MAX_FRAME_PIXELS

Pictures = Sequence[NDArray[np.uint8]]

_NUM_FRAMES = 24
_SECOND = Fraction(1)
_MILLISECOND = Fraction(1, 1000)


def moving(height: int = 48, width: int = 64, num_frames: int = _NUM_FRAMES) -> Pictures:
    """Draw a bar that moves to the right and a background that gets brighter."""
    frames = np.empty((num_frames, height, width, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        frame[:] = 20 + 200 * number // num_frames
        left = width * number // num_frames
        frame[height // 4 : height // 2, left : left + max(width // 6, 1)] = (220, 40, 40)
    return list(frames)


def noisy(num_frames: int = 40) -> Pictures:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(num_frames)]


def encoded(pictures: Pictures, codec: str = "libx264", **stream: object) -> Make:
    """Return what encodes pictures in the container that the file's extension says."""
    return lambda path: write_clip(path, pictures, codec, **stream)


def at_times(milliseconds: Sequence[int]) -> Make:
    """Return what encodes the moving pictures, each from a time of its own on."""

    def make(path: Path) -> None:
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"bf": "0"})
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            stream.codec_context.time_base = _MILLISECOND
            for picture, time in zip(moving(), milliseconds, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = time, _MILLISECOND
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    return make


def repeated(codec: str, size: tuple[int, int], num_frames: int, fps: int, pix_fmt: str) -> Make:
    """Return what writes one encoded black frame, height x width, again and again."""

    def make(path: Path) -> None:
        with kept_scheduling(), av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=fps)
            (stream.height, stream.width), stream.pix_fmt = size, pix_fmt
            frame = av.VideoFrame(size[1], size[0], pix_fmt)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = 0
            first = [*stream.encode(frame), *stream.encode(None)][0]
            for number in range(num_frames):
                packet = av.Packet(bytes(first))
                packet.pts = packet.dts = round(number * _SECOND / fps / first.time_base)
                packet.time_base, packet.stream, packet.is_keyframe = first.time_base, stream, True
                container.mux(packet)

    return make


def with_sound(path: Path) -> None:
    """Encode the moving pictures beside a sound track."""
    tone = sine(440, 2.4, 16_000)
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        sound = av.AudioFrame.from_ndarray(tone[np.newaxis], format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(audio.encode(sound))
        for picture in moving():
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux([*video.encode(None), *audio.encode(None)])


def turned(path: Path) -> None:
    """Encode the moving pictures lying, with the note that players turn them upright."""
    write_clip(path, [np.rot90(picture) for picture in moving()])
    turn_mp4(path, (0, 1, -1, 0))


def changing_size(codec: str) -> Make:
    """Return what encodes half the pictures, then the other half larger, in one raw stream."""

    def make(path: Path) -> None:
        halves = moving()[:12], moving(96, 128)[12:]
        for half in halves:
            part = path.with_name(f"part-{path.name}")
            write_clip(part, half, codec)
            with path.open("ab") as file:
                file.write(part.read_bytes())

    return make


def picture(path: Path) -> None:
    draw_picture(path, "red", "ellipse")


def without_frames(path: Path) -> None:
    """Write the header of a clip and nothing else."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()


def claim_most_frames(whole: bytes) -> bytes:
    """Have an AVI claim that its stream holds 2**31 - 1 frames."""
    place = whole.index(b"strh") + 40
    return whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :]


UNKNOWN = "not a clip of a known format"
UNDECODABLE = r"not a clip that can be decoded: \S.*"
DAMAGED_FRAME = r"damaged: frame \d+ of \d+ cannot be decoded"
TOO_LARGE = f"frames of 8000 x 8000 are larger than {MAX_FRAME_PIXELS} pixels"
CLOSE = 0.1  # what codecs lose
STEADY_MS = [100 * number for number in range(_NUM_FRAMES)]
UNSTEADY_MS = [*range(0, 60, 5), *range(1200, 2400, 100)]
MPG = encoded(moving(), "mpeg2video")
INDEX_FIRST = {"movflags": "faststart"}

REFERENCES = [
    Case("moving.mp4", Encoded(), encoded(moving())),
    Case("steady.mkv", Encoded(), at_times(STEADY_MS)),
    Case("one-picture.mkv", Encoded(), encoded(moving()[:1])),
    Case("two-hours-still.mp4", Encoded(), repeated("mpeg4", (48, 64), 7200, 1, "yuv420p")),
]

CODECS = [
    *(
        Case(f"{codec}.{suffix}", Encoded("moving.mp4", CLOSE), encoded(moving(), codec))
        for codec, suffix in (
            ("libx264", "mkv"),
            ("libx264", "flv"),
            ("libx265", "mp4"),
            ("mpeg4", "avi"),
            ("libvpx-vp9", "webm"),
            ("libsvtav1", "mp4"),
            ("libsvtav1", "webm"),
        )
    ),
    *(
        Case(f"{codec}.{suffix}", Encoded("moving.mp4", CLOSE), encoded(moving(), codec))
        for codec, suffix in (("mpeg2video", "ts"), ("libx264", "ts"))
    ),
    Case("untimed.mpg", Encoded("moving.mp4", 0.25), MPG),
    Case("10-bit.mp4", Encoded("moving.mp4", CLOSE), encoded(moving(), pix_fmt="yuv420p10le")),
    Case("full-chroma.mp4", Encoded("moving.mp4", CLOSE), encoded(moving(), pix_fmt="yuv444p")),
    Case("raw.h264", Encoded(), encoded(moving())),
    Case("animated.gif", Encoded("moving.mp4", 0.2), encoded(moving(), "gif", pix_fmt="rgb8")),
    Case("clip%02d.jpg", Encoded("moving.mp4", CLOSE), renamed(encoded(moving()), "mp4")),
    Case("an-mpg-named.png", Encoded("untimed.mpg"), renamed(MPG, "mpg")),
    Case("an-mp4-named.avi", Encoded("moving.mp4"), renamed(encoded(moving()), "mp4")),
]

FRAMES = [
    Case("one-frame.mp4", Encoded("one-picture.mkv", CLOSE), encoded(moving()[:1])),
    Case("one-frame-av1.mp4", Encoded("one-picture.mkv", 0.2), encoded(moving()[:1], "libsvtav1")),
    Case("three-frames.mp4", Encoded(), encoded(moving()[:3])),
    Case("variable-rate.mkv", Encoded("steady.mkv", CLOSE), at_times(UNSTEADY_MS)),
    Case("no-sound-track.mp4", Encoded("moving.mp4"), encoded(moving())),
    Case("sound-track.mp4", Encoded("moving.mp4", CLOSE), with_sound),
    Case("turned.mp4", Encoded("moving.mp4", CLOSE), turned),
    Case(
        "absurd-number-of-frames.avi",
        Encoded(),
        edited(encoded(moving(), "mpeg4"), claim_most_frames),
    ),
    Case("no-frames.mkv", Failed(UNDECODABLE), without_frames),
    Case(
        "hanging.ivf",
        Failed("not decoded within .* s"),
        repeated("libsvtav1", (2160, 3840), 20_000, 10, "yuv420p"),
    ),
]

SIZES = [
    Case("1x1.mkv", Encoded(), encoded(moving(1, 1), "ffv1", pix_fmt="bgr0")),
    Case("4096x2.mp4", Encoded(), encoded(moving(2, 4096))),
    Case("odd.mp4", Encoded("moving.mp4", 0.3), encoded(moving(47, 63), pix_fmt="yuv444p")),
    Case("changing.h264", Encoded("raw.h264", 0.3), changing_size("libx264")),
    Case("bomb.gif", Failed(TOO_LARGE), repeated("gif", (8000, 8000), 5, 10, "rgb8")),
    Case("bomb.mp4", Failed(TOO_LARGE), repeated("mpeg4", (8000, 8000), 5, 10, "yuv420p")),
]

DAMAGED = [
    Case(
        "title-not-utf-8.mp4",
        Encoded("moving.mp4"),
        edited(encoded(moving()), lambda whole: whole.replace(b"Lavf", b"\xfc\xff\xfef")),
    ),
    Case(
        "unknown-codec.mp4",
        Failed("holds moving pictures of an unknown codec"),
        edited(encoded(moving()), lambda whole: whole.replace(b"avc1", b"zzzz")),
    ),
    Case("cut.mp4", Failed(UNDECODABLE), cut(encoded(noisy()))),
    Case(
        "cut-index-first.mp4",
        Failed(r"damaged: ends before \d+ of 40 frames"),
        cut(encoded(noisy(), options=INDEX_FIRST)),
    ),
    Case("cut.webm", Encoded(), cut(encoded(noisy(), "libvpx-vp9"))),
    Case("cut.avi", Encoded(), cut(encoded(noisy(), "mpeg4"))),
    Case("zeros-inside.mp4", Failed(DAMAGED_FRAME), edited(encoded(noisy()), zeroed_middle(3000))),
]

NO_CLIPS = [
    Case("empty.mp4", Failed(UNDECODABLE), content(b"")),
    Case("text.mp4", Failed(UNDECODABLE), content("I am no clip. " * 99)),
    Case(
        "text.txt", Failed(UNDECODABLE), content("I am no clip, but FFmpeg would film me.\n" * 99)
    ),
    Case("bytes.mp4", Failed(UNDECODABLE), content(np.random.default_rng(0).bytes(100_000))),
    Case("a-picture.png", Failed(UNKNOWN), picture),
    Case("a-picture.mp4", Failed(UNKNOWN), renamed(picture, "png")),
    Case(
        "a-sound.wav",
        Failed("holds no moving pictures"),
        lambda path: soundfile.write(path, sine(440, 1, 16_000), 16_000),
    ),
    Case(
        "music-with-cover.mp3",
        Failed("holds no moving pictures"),
        lambda path: write_music_with_cover(path, sine(440, 1, 16_000), 16_000),
    ),
    Case(
        "list.m3u8",
        Failed(UNDECODABLE),
        content("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nmoving.mp4\n#EXT-X-ENDLIST\n"),
    ),
    Case("list.mp4", Failed(UNKNOWN), content("ffconcat version 1.0\nfile moving.mp4\n")),
    Case(
        "session.sdp",
        Failed(UNKNOWN),
        content(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        ),
    ),
    Case("frame%02d.png", Failed(UNKNOWN), lambda path: Image.new("RGB", (8, 8)).save(path)),
]

CLIPS = [*REFERENCES, *CODECS, *FRAMES, *SIZES, *DAMAGED, *NO_CLIPS]
