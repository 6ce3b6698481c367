"""Sounds whose header says nothing of their length, or what is wrong: all of them is read."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_files import sine, write_sound_with_ffmpeg
from numpy.typing import NDArray

from extractors.audio_mel import sound_statistics
from extractors.base import MediaError
from extractors.media.sound import read_sound

_RATE_HZ = 16_000
_FRAME_SECONDS = 0.1  # an MP3's at 16 kHz, and its encoder's delay
_LOSSLESS, _LOSSY = 0.02, 0.15  # encoders add silence, which is far from any sound

Edit = Callable[[bytes], bytes]


def melody() -> NDArray[np.float32]:
    """Synthesise three seconds, each of which differs, the first one soft. Shape: (48000,)."""
    tones = np.concatenate([0.3 * sine(440, 1, _RATE_HZ), sine(880, 1, _RATE_HZ)])
    hiss = np.random.default_rng(0).normal(0, 0.05, 3 * _RATE_HZ)
    hiss[:_RATE_HZ] *= 0.3
    return (np.concatenate([tones, sine(1320, 1, _RATE_HZ)]) + hiss).astype(np.float32)


def encoded(suffix: str, rate_hz: int = _RATE_HZ, num_channels: int = 1, **options: str) -> bytes:
    """Return the bytes of the melody as libsndfile writes it."""
    samples = melody()[:: _RATE_HZ // rate_hz, None].repeat(num_channels, 1)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=suffix.upper(), **options)
    return buffer.getvalue()


def assert_is_melody(path: Path, tolerance: float, times: int = 1) -> None:
    """Compare length and statistics with those of the samples, so many times in a row."""
    expected, samples = np.tile(melody(), times), read_sound(path, _RATE_HZ, max_seconds=60)
    seconds = len(samples) / _RATE_HZ
    assert seconds == pytest.approx(len(expected) / _RATE_HZ, abs=times * _FRAME_SECONDS)
    found, wanted = (sound_statistics(sound, _RATE_HZ, 40) for sound in (samples, expected))
    assert np.linalg.norm(found - wanted) < times * tolerance * np.linalg.norm(wanted)


def replaced(content: bytes, place: int, number: bytes) -> bytes:
    return content[:place] + number + content[place + len(number) :]


@pytest.fixture(scope="module", params=["cbr", "abr"])
def mpeg(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The melody as MP3 without a header that says how long it is."""
    path = tmp_path_factory.mktemp("mpeg") / "sound.mp3"
    codec_options = {"abr": "1", "b": "48k"} if request.param == "abr" else {"b": "64k"}
    options = {"write_xing": "0", "id3v2_version": "0"}
    write_sound_with_ffmpeg(path, melody(), _RATE_HZ, "libmp3lame", options, codec_options)
    return path.read_bytes()


def id3v2(content: bytes) -> bytes:
    size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + content


NOISE = np.random.default_rng(1).bytes(50_000)
ID3V1 = b"TAG" + bytes(125)
LYRICS = b"LYRICSBEGININD0000200" + b"la \r\n" * 100 + b"000521LYRICS200"


class TestMpeg:
    @pytest.mark.parametrize(
        "edit",
        [
            lambda mpeg: mpeg,
            lambda mpeg: id3v2(NOISE) + mpeg,
            lambda mpeg: id3v2(b"") + id3v2(bytes(999)) + mpeg,
            lambda mpeg: mpeg + ID3V1,
            lambda mpeg: mpeg + LYRICS + ID3V1,
            lambda mpeg: mpeg + bytes(5000),
            lambda mpeg: bytes(5000) + mpeg,
        ],
        ids=["plain", "id3v2", "two tags", "id3v1", "lyrics", "zeros behind", "zeros before"],
    )
    def test_without_a_length_it_is_read_whole(
        self, tmp_path: Path, mpeg: bytes, edit: Edit
    ) -> None:
        (tmp_path / "sound.mp3").write_bytes(edit(mpeg))
        assert_is_melody(tmp_path / "sound.mp3", _LOSSY)

    @pytest.mark.parametrize("between", [b"", ID3V1, id3v2(NOISE)], ids=["-", "id3v1", "id3v2"])
    def test_several_in_one_file_are_read_one_after_the_other(
        self, tmp_path: Path, mpeg: bytes, between: bytes
    ) -> None:
        (tmp_path / "sound.mp3").write_bytes(mpeg + between + mpeg)
        assert_is_melody(tmp_path / "sound.mp3", _LOSSY, times=2)

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 2, 1000])
    @pytest.mark.parametrize("also_bytes", [False, True])
    def test_a_length_that_lies_is_passed_over(
        self, tmp_path: Path, share: float, also_bytes: bool
    ) -> None:
        content = encoded("mp3")
        place = max(content.find(b"Info"), content.find(b"Xing")) + 8
        num_numbers = 2 if also_bytes else 1
        for offset in range(place, place + 4 * num_numbers, 4):
            number = int.from_bytes(content[offset : offset + 4], "big")
            content = replaced(content, offset, struct.pack(">I", int(number * share)))
        (tmp_path / "sound.mp3").write_bytes(content)
        assert_is_melody(tmp_path / "sound.mp3", _LOSSY)

    def test_a_cut_frame_before_the_stated_length_is_damage(self, tmp_path: Path) -> None:
        content = encoded("mp3")
        (tmp_path / "sound.mp3").write_bytes(content[: len(content) // 2])
        with pytest.raises(MediaError, match=r"^damaged: ends after \d+ of \d+ samples$"):
            read_sound(tmp_path / "sound.mp3", _RATE_HZ, max_seconds=60)
        assert len(read_sound(tmp_path / "sound.mp3", _RATE_HZ, max_seconds=1)) == _RATE_HZ

    @pytest.mark.parametrize("hole", [bytes(2000), NOISE[:2000]], ids=["zeros", "noise"])
    def test_a_hole_is_damage(self, tmp_path: Path, mpeg: bytes, hole: bytes) -> None:
        (tmp_path / "sound.mp3").write_bytes(replaced(mpeg, len(mpeg) // 2, hole))
        with pytest.raises(MediaError, match="not a sound that can be decoded"):
            read_sound(tmp_path / "sound.mp3", _RATE_HZ, max_seconds=60)

    @pytest.mark.parametrize(
        ("codec", "suffix", "bit_rate"), [("libmp3lame", "wav", "64k"), ("mp2", "mp2", "160k")]
    )
    def test_other_layers_and_containers(
        self, tmp_path: Path, codec: str, suffix: str, bit_rate: str
    ) -> None:
        path = tmp_path / f"sound.{suffix}"
        write_sound_with_ffmpeg(path, melody(), _RATE_HZ, codec, codec_options={"b": bit_rate})
        assert_is_melody(path, _LOSSY)


class TestFlac:
    @pytest.mark.parametrize("num_samples", [0, 1, 24_000, 96_000, (1 << 36) - 1])
    def test_a_length_that_lies_is_passed_over(self, tmp_path: Path, num_samples: int) -> None:
        content = encoded("flac")
        number = int.from_bytes(content[18:26], "big") >> 36 << 36 | num_samples
        (tmp_path / "sound.flac").write_bytes(replaced(content, 18, number.to_bytes(8, "big")))
        assert_is_melody(tmp_path / "sound.flac", _LOSSLESS)

    def test_two_in_one_file_are_read_one_after_the_other(self, tmp_path: Path) -> None:
        (tmp_path / "sound.flac").write_bytes(encoded("flac") * 2)
        assert_is_melody(tmp_path / "sound.flac", _LOSSLESS, times=2)

    def test_a_hole_is_damage(self, tmp_path: Path) -> None:
        content = encoded("flac")
        content = replaced(content, len(content) // 2, bytes(2000))
        (tmp_path / "sound.flac").write_bytes(content)
        with pytest.raises(MediaError, match=r"damaged: \d+ samples are lost"):
            read_sound(tmp_path / "sound.flac", _RATE_HZ, max_seconds=60)


CHUNK = b"LIST" + struct.pack("<I", 3000) + NOISE[:3000]
NUM_BYTES = 2 * len(melody())
CHUNKED = {  # format: name of the chunk of the samples, and the form of its size
    "wav": (b"data", "<I"),
    "aiff": (b"SSND", ">I"),
    "caf": (b"data", ">Q"),
    "au": (b".snd", ">I"),
}


def restated(suffix: str, num_bytes: int) -> bytes:
    """Return the melody in a file that says its samples take so many bytes."""
    content = encoded(suffix, subtype="PCM_16")
    name, form = CHUNKED[suffix]
    place = content.index(name) + (8 if suffix == "au" else 4)
    largest = (1 << 8 * struct.calcsize(form)) - 1
    return replaced(content, place, struct.pack(form, num_bytes & largest))


class TestChunks:
    @pytest.mark.parametrize("suffix", CHUNKED)
    @pytest.mark.parametrize(
        "num_bytes", [-1, 0, 10, NUM_BYTES // 2, NUM_BYTES + 1, 2 * NUM_BYTES, (1 << 31) - 1]
    )
    def test_a_size_that_lies_is_passed_over(
        self, tmp_path: Path, suffix: str, num_bytes: int
    ) -> None:
        (tmp_path / f"sound.{suffix}").write_bytes(restated(suffix, num_bytes))
        assert_is_melody(tmp_path / f"sound.{suffix}", _LOSSLESS)

    @pytest.mark.parametrize("num_bytes", [-1, 0, NUM_BYTES // 2, 2 * NUM_BYTES])
    def test_so_is_one_of_64_bits(self, tmp_path: Path, num_bytes: int) -> None:
        content = encoded("rf64", subtype="PCM_16")
        size = struct.pack("<q", num_bytes)
        (tmp_path / "sound.wav").write_bytes(replaced(content, content.index(b"ds64") + 16, size))
        assert_is_melody(tmp_path / "sound.wav", _LOSSLESS)

    @pytest.mark.parametrize(
        "rest",
        [CHUNK, CHUNK[:2000], CHUNK * 9, id3v2(NOISE), ID3V1, bytes(9999), NOISE[:999], b"\1"],
        ids=["chunk", "cut chunk", "chunks", "id3v2", "id3v1", "zeros", "junk", "one byte"],
    )
    def test_what_is_behind_the_samples_is_not_read(self, tmp_path: Path, rest: bytes) -> None:
        (tmp_path / "sound.wav").write_bytes(encoded("wav", subtype="PCM_16") + rest)
        np.testing.assert_allclose(
            read_sound(tmp_path / "sound.wav", _RATE_HZ, 60), melody(), atol=1e-4
        )

    def test_samples_of_other_codecs_are_read_to_the_end(self, tmp_path: Path) -> None:
        content = encoded("wav", subtype="MS_ADPCM")
        size = content.index(b"data") + 4
        for num_bytes in (0, 9000, 0xFFFFFFFF):
            path = tmp_path / f"{num_bytes}.wav"
            path.write_bytes(replaced(content, size, struct.pack("<I", num_bytes)))
            assert_is_melody(path, _LOSSY)


class TestOgg:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (encoded("ogg", subtype="VORBIS"), encoded("ogg", subtype="VORBIS")),
            (encoded("ogg", subtype="VORBIS"), encoded("ogg", 8000, 2, subtype="VORBIS")),
            (encoded("ogg", 8000, 2, subtype="OPUS"), encoded("ogg", subtype="OPUS")),
            (encoded("ogg", subtype="OPUS"), encoded("ogg", subtype="VORBIS")),
        ],
        ids=["equal", "other rate and channels", "opus", "other codec"],
    )
    def test_all_links_of_a_chain_are_read(
        self, tmp_path: Path, first: bytes, second: bytes
    ) -> None:
        (tmp_path / "chain.ogg").write_bytes(first + second)
        assert len(read_sound(tmp_path / "chain.ogg", _RATE_HZ, 60)) == pytest.approx(
            6 * _RATE_HZ, abs=0.05 * _RATE_HZ
        )
        for number, link in enumerate((first, second)):
            (tmp_path / "link.ogg").write_bytes(link)
            alone = read_sound(tmp_path / "link.ogg", _RATE_HZ, 60)
            whole = read_sound(tmp_path / "chain.ogg", _RATE_HZ, 60)
            part = whole[: len(alone)] if number == 0 else whole[-len(alone) :]
            inner = slice(50, -50)  # where the resampler's filter does not see the other link
            np.testing.assert_allclose(part[inner], alone[inner], atol=1e-3)

    @pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
    def test_damaged_and_lost_pages_are_damage(self, tmp_path: Path, subtype: str) -> None:
        content = encoded("ogg", subtype=subtype)
        starts = [place for place in range(len(content)) if content.startswith(b"OggS", place)]
        lost = content[: starts[-2]] + content[starts[-1] :]
        zeroed = replaced(content, starts[-1] - 500, bytes(300))
        first_zeroed = replaced(content, starts[2] + 200, bytes(300))
        for name, damaged, reason in (
            ("first zeroed", first_zeroed, "damaged: an Ogg page fails its checksum"),
            ("lost", lost, "damaged: Ogg pages are lost"),
            ("zeroed", zeroed, "damaged: an Ogg page fails its checksum"),
        ):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(MediaError, match=reason):
                read_sound(tmp_path / name, _RATE_HZ, max_seconds=60)


ENCODERS = {
    "ac3": "ac3",
    "eac3": "eac3",
    "wv": "wavpack",
    "m4a": "aac",
    "mka": "aac",
    "ogg": "libopus",
    "ts": "aac",
}


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: id3v2(NOISE) + content,
        lambda content: b"ID3\x04\0\x10" + id3v2(NOISE)[6:] + b"3DI" + bytes(7) + content,
        lambda content: content + ID3V1,
        lambda content: content + bytes(9999),
        lambda content: content + NOISE[:999],
    ],
    ids=["id3v2", "id3v2 with footer", "id3v1", "zeros", "junk"],
)
@pytest.mark.parametrize("suffix", ENCODERS)
def test_what_stands_around_a_sound_is_no_part_of_it(
    tmp_path: Path, suffix: str, edit: Edit
) -> None:
    path = tmp_path / f"sound.{suffix}"
    samples = melody().repeat(3)  # AC3 does not know 16 kHz
    write_sound_with_ffmpeg(path, samples, 3 * _RATE_HZ, ENCODERS[suffix])
    path.write_bytes(edit(path.read_bytes()))
    assert len(read_sound(path, _RATE_HZ, 60)) == pytest.approx(3 * _RATE_HZ, abs=1600)


@pytest.mark.parametrize("suffix", ["ac3", "wv"])
def test_damage_within_a_sound_is_no_junk_behind_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound.{suffix}"
    write_sound_with_ffmpeg(path, melody().repeat(3), 3 * _RATE_HZ, ENCODERS[suffix])
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(5000) + content[half:])
    with pytest.raises(MediaError):
        read_sound(path, _RATE_HZ, 60)


def test_gsm_that_ends_amid_a_block_is_read_without_it(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, melody()[::2], _RATE_HZ // 2, subtype="GSM610")
    whole = read_sound(path, _RATE_HZ, 60)
    path.write_bytes(path.read_bytes()[:-40])
    samples = read_sound(path, _RATE_HZ, 60)
    assert 0 < len(whole) - len(samples) < 1000
    np.testing.assert_allclose(samples[:40_000], whole[:40_000], atol=1e-6)


def test_integers_of_64_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    header = io.BytesIO()
    soundfile.write(header, np.empty(0), _RATE_HZ, subtype="PCM_16", format="WAV")
    content = (melody() * 2.0**62).astype(np.int64).tobytes()
    form = struct.pack("<HHIIHH", 1, 1, _RATE_HZ, 8 * _RATE_HZ, 8, 64)
    data = struct.pack("<4sI", b"data", len(content)) + content
    path.write_bytes(header.getvalue()[:20] + form + data)
    samples = read_sound(path, _RATE_HZ, 60)
    np.testing.assert_allclose(samples, melody() / 2, atol=1e-6)


def test_rate_and_channels_may_change_within_a_stream(tmp_path: Path) -> None:
    parts = []
    for rate_hz in (16_000, 32_000):
        path = tmp_path / f"{rate_hz}.aac"
        repeated = melody().repeat(rate_hz // _RATE_HZ)
        parts.append(write_sound_with_ffmpeg(path, repeated, rate_hz).read_bytes())
    (tmp_path / "sound.aac").write_bytes(b"".join(parts))
    samples = read_sound(tmp_path / "sound.aac", _RATE_HZ, max_seconds=60)
    assert len(samples) == pytest.approx(6 * _RATE_HZ, abs=0.2 * _RATE_HZ)


def test_a_thousand_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.repeat(melody()[:, None], 1000, axis=1)
    soundfile.write(tmp_path / "sound.wav", channels, _RATE_HZ, subtype="PCM_16")
    np.testing.assert_allclose(
        read_sound(tmp_path / "sound.wav", _RATE_HZ, 60), melody(), atol=1e-4
    )
