"""The corpus's sounds, and files that are none."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile
from corpus import Case, Encoded, Failed, Make, content, cut, edited, renamed
from media_files import (
    draw_picture,
    sine,
    write_gray_clip,
    write_music_with_cover,
    write_sound_with_ffmpeg,
)
from numpy.typing import NDArray

from extractors.media.sound import MAX_RATE_HZ

_RATE_HZ = 16_000
_HEADER_BYTES = 44
_TWO_HOURS_SECONDS = 7200


def melody(rate_hz: int = _RATE_HZ) -> NDArray[np.float32]:
    """Synthesise four tones and a little noise, louder than 16 bits lose. Shape: (rate_hz,)."""
    tones = np.concatenate([sine(hz, 1 / 4, rate_hz) for hz in (440, 880, 1320, 2000)])
    hiss = np.random.default_rng(0).normal(0, 0.02, len(tones))
    return (tones + hiss).astype(np.float32)


def upsampled(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Raise the rate without a trace. Shape: (n,) -> (n * factor,)."""
    spectrum = np.fft.rfft(samples)
    return (np.fft.irfft(spectrum, len(samples) * factor) * factor).astype(np.float32)


def noise(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * _RATE_HZ)).astype(np.float32)


def recorded(
    samples: NDArray[np.floating], rate_hz: int = _RATE_HZ, subtype: str | None = None
) -> Make:
    """Return what writes samples in the format that the file's extension says."""
    return lambda path: soundfile.write(path, samples, rate_hz, subtype=subtype)


def spoilt(value: float) -> NDArray[np.float32]:
    """Return the melody with one sample replaced."""
    samples = melody()
    samples[100] = value
    return samples


def with_header(offset: int, form: str, value: int) -> Make:
    """Return what writes a WAV with one number of its header replaced."""

    def edit(whole: bytes) -> bytes:
        number = struct.pack(form, value)
        return whole[:offset] + number + whole[offset + len(number) :]

    return edited(recorded(melody()), edit)


def of_unknown_length(length: int) -> Make:
    """Return what writes a WAV as a stream has it: the lengths are not those of the file."""

    def edit(whole: bytes) -> bytes:
        number = struct.pack("<I", length)
        place = whole.index(b"data") + 4
        return whole[:4] + number + whole[8:place] + number + whole[place + 4 :]

    return edited(recorded(melody()), edit)


def with_total(num_samples: int) -> Callable[[bytes], bytes]:
    """Return what writes a number of samples into the header of a FLAC; 0 is a stream's."""
    return lambda whole: (
        whole[:21] + bytes([whole[21] & 0xF0]) + struct.pack(">I", num_samples) + whole[26:]
    )


def silence_of(seconds: int) -> Make:
    """Return what writes a sound of a constant level, as a file with a hole."""

    def make(path: Path) -> None:
        header = io.BytesIO()
        soundfile.write(header, np.empty(0), 8000, subtype="PCM_U8", format="WAV")
        num_samples = seconds * 8000
        start = header.getvalue()[: _HEADER_BYTES - 4] + struct.pack("<I", num_samples)
        path.write_bytes(start[:4] + struct.pack("<I", num_samples + 36) + start[8:])
        with path.open("r+b") as file:
            file.truncate(_HEADER_BYTES + num_samples)

    return make


def picture(path: Path) -> None:
    draw_picture(path, "red", "ellipse")


def two_tracks(path: Path) -> None:
    """Write a Matroska file whose second track is noise."""
    with av.open(path, "w") as container:
        streams = [container.add_stream("flac", rate=_RATE_HZ, layout="mono") for _ in range(2)]
        for stream, samples in zip(streams, (melody(), noise(1)), strict=True):
            pcm = np.rint(samples * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = _RATE_HZ
            frame.pts = 0
            container.mux([*stream.encode(frame), *stream.encode(None)])


def without_xing(path: Path) -> None:
    """Write an MP3 that does not say how long it is."""
    write_sound_with_ffmpeg(path, melody(), _RATE_HZ, "libmp3lame", {"write_xing": "0"})


def clip_with_sound(path: Path) -> None:
    write_sound_with_ffmpeg(path, melody(44_100), 44_100)


SIX = np.stack([melody() * gain for gain in (1.0, 0.5, 0.25, 0.125, 0, 0)], axis=1)
OPPOSITE = np.stack([melody(), -melody()], axis=1)
UNKNOWN = "not a sound of a known format"
UNDECODABLE = r"not a sound that can be decoded: \S.*"
NOT_FINITE = "holds samples that are not finite numbers"

REFERENCES = [
    Case("melody.wav", Encoded(), recorded(melody())),
    Case("first-half.wav", Encoded(), recorded(melody()[: _RATE_HZ // 2])),
    Case("mono-mix.wav", Encoded(), recorded(SIX.mean(axis=1), subtype="FLOAT")),
    Case("silence.wav", Encoded(), recorded(np.zeros(_RATE_HZ, np.float32))),
    Case("minute.wav", Encoded(), silence_of(60)),
    Case("melody.mp3", Encoded("melody.wav", 1), recorded(melody())),
]

LENGTHS = [
    Case("two-hours.wav", Encoded("minute.wav"), silence_of(_TWO_HOURS_SECONDS)),
    Case("hundredth-of-a-second.wav", Encoded(), recorded(sine(440, 0.01, 44_100), 44_100)),
    Case("one-sample.wav", Encoded(), recorded(melody()[:1])),
    Case("one-sample-at-48-khz.wav", Encoded(), recorded(melody()[:1], 48_000)),
    Case("five-samples-at-8-khz.wav", Encoded(), recorded(melody()[:5], 8000)),
    Case("no-samples.wav", Failed("holds no samples"), recorded(melody()[:0])),
    Case("stream.wav", Encoded("melody.wav"), of_unknown_length(0xFFFFFFFF)),
    Case("unfinished.wav", Encoded("melody.wav"), of_unknown_length(0)),
    Case("half-stated.wav", Encoded("melody.wav"), of_unknown_length(_RATE_HZ)),
    Case("stream.flac", Encoded("melody.wav", 0.01), edited(recorded(melody()), with_total(0))),
    Case(
        "half-stated.flac",
        Encoded("melody.wav", 0.01),
        edited(recorded(melody()), with_total(8000)),
    ),
    Case(
        "twice-stated.flac",
        Encoded("melody.wav", 0.01),
        edited(recorded(melody()), with_total(32_000)),
    ),
    Case("stream.mp3", Encoded(), without_xing),
]

CHANNELS = [
    Case("six-channels.wav", Encoded("mono-mix.wav", 0.01), recorded(SIX, subtype="FLOAT")),
    Case("six-channels.flac", Encoded("mono-mix.wav", 0.01), recorded(SIX, subtype="PCM_24")),
    Case(
        "opposite-channels.wav", Encoded("silence.wav", 0.01), recorded(OPPOSITE, subtype="FLOAT")
    ),
    Case("no-channels.wav", Failed(UNDECODABLE), with_header(22, "<H", 0)),
    Case("two-tracks.mkv", Encoded("melody.wav", 0.01), two_tracks),
]

SAMPLES = [
    Case("8-bit.wav", Encoded("melody.wav", 0.6), recorded(melody(), subtype="PCM_U8")),
    Case("24-bit.wav", Encoded("melody.wav", 0.01), recorded(melody(), subtype="PCM_24")),
    Case("mu-law.wav", Encoded("melody.wav", 0.1), recorded(melody(), subtype="ULAW")),
    Case("double.wav", Encoded("melody.wav", 0.01), recorded(melody(), subtype="DOUBLE")),
    Case("nan.wav", Failed(NOT_FINITE), recorded(spoilt(np.nan), subtype="FLOAT")),
    Case("infinite.wav", Failed(NOT_FINITE), recorded(spoilt(np.inf), subtype="FLOAT")),
    Case("beyond-float.wav", Failed(NOT_FINITE), recorded(np.full(9, 1e300), subtype="DOUBLE")),
    Case("loudest.wav", Encoded(), recorded(np.full(99, 3e38), subtype="FLOAT")),
]

RATES = [
    Case("384-khz.wav", Encoded("melody.wav", 1), recorded(upsampled(melody(), 24), 384_000)),
    Case("1-hz.wav", Encoded(), with_header(24, "<I", 1)),
    Case("0-hz.wav", Failed(UNDECODABLE), with_header(24, "<I", 0)),
    Case(
        "2-ghz.wav",
        Failed(f"2147483647 samples a second; allowed: at most {MAX_RATE_HZ}"),
        with_header(24, "<I", 2**31 - 1),
    ),
]

CONTAINERS = [
    *(
        Case(f"a-wav-named.{suffix}", Encoded("melody.wav"), renamed(recorded(melody()), "wav"))
        for suffix in ("mp3", "raw", "sd2", "txt")
    ),
    Case("no-extension", Encoded("melody.wav"), renamed(recorded(melody()), "wav")),
    Case(
        "with-cover.mp3",
        Encoded("melody.mp3"),
        lambda path: write_music_with_cover(path, melody(), _RATE_HZ),
    ),
    Case("track-of-a-clip.mp4", Encoded("melody.wav", 1), clip_with_sound),
    Case("opus.ogg", Encoded("melody.wav", 1), recorded(melody(), subtype="OPUS")),
]

DAMAGED = [
    Case(
        "title-not-utf-8.mp4",
        Encoded("track-of-a-clip.mp4"),
        edited(clip_with_sound, lambda whole: whole.replace(b"Lavf", b"\xfc\xff\xfef")),
    ),
    Case(
        "unknown-codec.wav",
        Failed("holds a sound track of an unknown codec"),
        with_header(20, "<H", 0x7777),
    ),
    Case(
        "cut.wav",
        Encoded("first-half.wav"),
        edited(recorded(melody()), lambda whole: whole[: _HEADER_BYTES + _RATE_HZ]),
    ),
    Case("cut-opus.ogg", Encoded(), cut(recorded(noise(5), subtype="OPUS"))),
    Case("cut-vorbis.ogg", Failed(UNDECODABLE), cut(recorded(noise(1), subtype="VORBIS"))),
    Case("cut.flac", Failed(UNDECODABLE), cut(recorded(noise(3)))),
    Case("cut.mp3", Failed(r"damaged: ends after \d+ of \d+ samples"), cut(recorded(noise(5)))),
    Case("cut.mp4", Failed(UNDECODABLE), cut(clip_with_sound)),
    Case("header.wav", Failed("holds no samples"), cut(recorded(melody()), 0.00138)),
]

NO_SOUNDS = [
    Case("empty.wav", Failed(UNDECODABLE), content(b"")),
    Case("text.wav", Failed(UNDECODABLE), content("I am no sound. " * 99)),
    Case("text.txt", Failed(UNDECODABLE), content("FFmpeg would film me.\n" * 99)),
    Case("bytes.wav", Failed(UNDECODABLE), content(np.random.default_rng(0).bytes(100_000))),
    Case("tag-only.mp3", Failed(UNDECODABLE), content(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10))),
    Case(
        "notes.mid",
        Failed(UNDECODABLE),
        content(b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff/\0"),
    ),
    Case(
        "list.m3u8",
        Failed(UNDECODABLE),
        content("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nmelody.wav\n#EXT-X-ENDLIST\n"),
    ),
    Case("list.wav", Failed(UNKNOWN), content("ffconcat version 1.0\nfile melody.wav\n")),
    Case("a-picture.wav", Failed(UNKNOWN), renamed(picture, "png")),
    Case(
        "no-track.mp4", Failed("holds no sound track"), lambda path: write_gray_clip(path, [9] * 5)
    ),
]


SOUNDS = [
    *REFERENCES,
    *LENGTHS,
    *CHANNELS,
    *SAMPLES,
    *RATES,
    *CONTAINERS,
    *DAMAGED,
    *NO_SOUNDS,
]
