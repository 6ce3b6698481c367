"""The media readers against real files: what each must read as, and what it must refuse."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from media_files import (
    png_header,
    sine,
    turn_mp4,
    write_clip,
    write_gray_clip,
    write_sound_with_ffmpeg,
)
from PIL import Image

from extractors.base import MediaError
from extractors.media.clip import duration_seconds, frame_indices, read_frames
from extractors.media.picture import MAX_PIXELS, read_picture
from extractors.media.sound import read_sound

RED, WHITE = (255, 0, 0), (255, 255, 255)


def colour_of(picture: Image.Image) -> tuple[int, ...]:
    """Return the colour of the middle pixel."""
    return picture.getpixel((picture.width // 2, picture.height // 2))


class TestPictures:
    @pytest.mark.parametrize(
        ("mode", "colour", "suffix", "expected"),
        [
            ("RGB", RED, "png", RED),
            ("RGBA", (255, 0, 0, 255), "png", RED),
            ("RGBA", (255, 0, 0, 0), "png", WHITE),
            ("RGBA", (0, 0, 0, 128), "webp", (127, 127, 127)),
            ("LA", (0, 0), "png", WHITE),
            ("LA", (90, 255), "png", (90, 90, 90)),
            ("L", 90, "jpg", (90, 90, 90)),
            ("1", 1, "png", WHITE),
            ("CMYK", (0, 255, 255, 0), "tif", RED),
            ("YCbCr", (76, 85, 255), "jpg", (254, 0, 0)),
            ("LAB", (255, 128, 128), "tif", WHITE),
            ("I;16", 0x8080, "png", (128, 128, 128)),
            ("I;16", 0x8080, "tif", (128, 128, 128)),
            ("I", 0x8080, "tif", (128, 128, 128)),
            ("RGB", RED, "bmp", RED),
            ("RGB", RED, "avif", RED),
        ],
    )
    def test_every_mode_reads_as_its_colour_on_white(
        self, tmp_path: Path, mode: str, colour: object, suffix: str, expected: tuple[int, ...]
    ) -> None:
        path = tmp_path / f"picture.{suffix}"
        Image.new(mode, (20, 10), colour).save(path)
        picture = read_picture(path)
        assert picture.mode == "RGB"
        assert picture.size == (20, 10)
        assert colour_of(picture) == pytest.approx(expected, abs=2)

    def test_transparent_palette_colour_is_white(self, tmp_path: Path) -> None:
        palette = Image.new("P", (8, 8), 0)
        palette.putpalette([255, 0, 0, 0, 0, 255])
        palette.save(tmp_path / "p.png", transparency=0)
        assert colour_of(read_picture(tmp_path / "p.png")) == WHITE

    def test_float_gray_is_stretched_from_its_own_range(self, tmp_path: Path) -> None:
        values = np.linspace(-3.0, 5.0, 100, dtype=np.float32).reshape(10, 10)
        Image.fromarray(values).save(tmp_path / "f.tif")
        pixels = np.asarray(read_picture(tmp_path / "f.tif"))[..., 0]
        assert (pixels.min(), pixels.max()) == (0, 255)
        assert (np.diff(pixels.ravel().astype(int)) >= 0).all()

    def test_float_gray_that_is_not_finite_is_refused(self, tmp_path: Path) -> None:
        values = np.full((4, 4), np.nan, dtype=np.float32)
        Image.fromarray(values).save(tmp_path / "f.tif")
        with pytest.raises(MediaError, match="not finite"):
            read_picture(tmp_path / "f.tif")

    def test_exif_rotation_is_applied(self, tmp_path: Path) -> None:
        picture = Image.new("RGB", (30, 20), "white")
        picture.paste("red", (0, 0, 15, 20))
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise: what is left comes to the top
        picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
        upright = read_picture(tmp_path / "turned.jpg")
        assert upright.size == (20, 30)
        assert upright.getpixel((10, 3)) == pytest.approx(RED, abs=12)
        assert upright.getpixel((10, 27)) == pytest.approx(WHITE, abs=12)

    def test_damaged_exif_does_not_matter(self, tmp_path: Path) -> None:
        Image.new("RGB", (30, 20), "red").save(
            tmp_path / "odd.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00garbage"
        )
        assert read_picture(tmp_path / "odd.jpg").size == (30, 20)

    def test_a_large_jpeg_may_be_read_smaller(self, tmp_path: Path) -> None:
        gradient = np.tile(np.linspace(0, 255, 1600, dtype=np.uint8)[:, None, None], (1, 1200, 3))
        for suffix, expected in (("jpg", (150, 200)), ("png", (1200, 1600))):
            Image.fromarray(gradient).save(tmp_path / f"large.{suffix}")
            assert read_picture(tmp_path / f"large.{suffix}").size == (1200, 1600)
            small = read_picture(tmp_path / f"large.{suffix}", least_side=128)
            assert small.size == expected
            assert colour_of(small)[0] == pytest.approx(127, abs=3)

    def test_an_animation_reads_as_its_first_frame(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert colour_of(read_picture(tmp_path / "a.gif")) == RED

    @pytest.mark.parametrize("size", [(1, 1), (30_000, 20)])
    def test_odd_sizes_are_read(self, tmp_path: Path, size: tuple[int, int]) -> None:
        Image.new("RGB", size, "red").save(tmp_path / "odd.png")
        assert read_picture(tmp_path / "odd.png").size == size

    @pytest.mark.parametrize("width", [MAX_PIXELS // 1000 + 1, MAX_PIXELS])
    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_a_decompression_bomb_is_refused_by_its_header(
        self, tmp_path: Path, width: int
    ) -> None:
        (tmp_path / "bomb.png").write_bytes(png_header(width, 1000))
        with pytest.raises(MediaError, match=f"larger than {MAX_PIXELS} pixels"):
            read_picture(tmp_path / "bomb.png")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tif"])
    def test_a_truncated_picture_is_refused(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"whole.{suffix}"
        noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(MediaError):
            read_picture(path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"a text\n",
            b"\x89PNG\r\n\x1a\n",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9",
        ],
        ids=["empty", "text", "signature only", "EPS"],
    )
    def test_what_is_no_picture_is_refused_without_naming_its_folder(
        self, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "no.png").write_bytes(content)
        with pytest.raises(MediaError, match="not a picture of a known format") as refusal:
            read_picture(tmp_path / "no.png")
        assert str(tmp_path) not in str(refusal.value)


def peak_hz(samples: np.ndarray, rate_hz: int) -> float:
    """Return the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / rate_hz)[spectrum.argmax()])


class TestSounds:
    @pytest.mark.parametrize(
        ("suffix", "subtype"),
        [
            *(("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "PCM_U8"), ("flac", "PCM_24")),
            *(("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", None), ("aiff", "PCM_16")),
        ],
    )
    def test_every_format_reads_as_the_same_tone(
        self, tmp_path: Path, suffix: str, subtype: str | None
    ) -> None:
        path = tmp_path / f"tone.{suffix}"
        soundfile.write(path, sine(440, 1.0, 48_000), 48_000, subtype=subtype)
        samples = read_sound(path, 16_000, max_seconds=10)
        assert samples.dtype == np.float32
        assert len(samples) == pytest.approx(16_000, rel=0.03)
        assert peak_hz(samples, 16_000) == pytest.approx(440, abs=2)
        assert samples[4000:12000].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.1)

    @pytest.mark.parametrize("suffix", ["m4a", "mp4", "mkv"])
    def test_what_libsndfile_does_not_know_is_read_by_ffmpeg(
        self, tmp_path: Path, suffix: str
    ) -> None:
        path = write_sound_with_ffmpeg(tmp_path / f"tone.{suffix}", sine(440, 1.0, 44_100), 44_100)
        samples = read_sound(path, 16_000, max_seconds=10)
        assert len(samples) == pytest.approx(16_000, rel=0.1)
        assert peak_hz(samples, 16_000) == pytest.approx(440, abs=2)
        assert samples[4000:12000].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.1)

    def test_the_extension_does_not_matter(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "tone.wav", sine(440, 0.5, 16_000), 16_000)
        (tmp_path / "tone.wav").rename(tmp_path / "tone.mp3")
        assert len(read_sound(tmp_path / "tone.mp3", 16_000, max_seconds=10)) == 8000

    def test_channels_are_averaged(self, tmp_path: Path) -> None:
        tone = sine(440, 0.5, 16_000)
        channels = np.stack([tone, -tone, tone, -tone, tone * 0, tone * 0], axis=1)
        soundfile.write(tmp_path / "six.wav", channels, 16_000, subtype="FLOAT")
        assert np.abs(read_sound(tmp_path / "six.wav", 16_000, max_seconds=10)).max() < 1e-6

    def test_resampling_keeps_the_level_and_removes_what_would_alias(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", sine(1000, 1, 44_100), 44_100, subtype="FLOAT")
        soundfile.write(tmp_path / "b.wav", sine(12_000, 1, 44_100), 44_100, subtype="FLOAT")
        kept = read_sound(tmp_path / "a.wav", 16_000, max_seconds=10)
        expected = sine(1000, 1, 16_000)
        np.testing.assert_allclose(kept[200:-200], expected[200 : len(kept) - 200], atol=1e-3)
        assert np.abs(read_sound(tmp_path / "b.wav", 16_000, max_seconds=10)[200:-200]).max() < 1e-2

    @pytest.mark.parametrize("suffix", ["wav", "ogg", "m4a"])
    def test_only_the_beginning_of_a_long_sound_is_read(self, tmp_path: Path, suffix: str) -> None:
        sound = np.concatenate([sine(440, 1.0, 16_000), sine(880, 3.0, 16_000)])
        if suffix == "m4a":
            write_sound_with_ffmpeg(tmp_path / "long.m4a", sound, 16_000)
        else:
            soundfile.write(tmp_path / f"long.{suffix}", sound, 16_000)
        samples = read_sound(tmp_path / f"long.{suffix}", 16_000, max_seconds=1.0)
        assert len(samples) == 16_000
        assert peak_hz(samples[:15_000], 16_000) == pytest.approx(440, abs=2)

    def test_a_very_short_sound_is_read(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "short.wav", sine(440, 0.01, 44_100), 44_100)
        assert len(read_sound(tmp_path / "short.wav", 16_000, max_seconds=10)) == 160

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_samples_that_are_not_finite_are_refused(self, tmp_path: Path, value: float) -> None:
        samples = sine(440, 0.1, 16_000)
        samples[7] = value
        soundfile.write(tmp_path / "odd.wav", samples, 16_000, subtype="FLOAT")
        with pytest.raises(MediaError, match="not finite"):
            read_sound(tmp_path / "odd.wav", 16_000, max_seconds=10)

    def test_a_sound_without_samples_is_refused(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "empty.wav", np.empty(0, dtype=np.float32), 16_000)
        with pytest.raises(MediaError, match="no samples"):
            read_sound(tmp_path / "empty.wav", 16_000, max_seconds=10)

    def test_a_clip_without_a_sound_track_is_refused(self, tmp_path: Path) -> None:
        path = write_gray_clip(tmp_path / "silent.mp4", [10, 20])
        with pytest.raises(MediaError, match="no sound track"):
            read_sound(path, 16_000, max_seconds=10)

    @pytest.mark.parametrize("content", [b"", b"a text\n" * 100], ids=["empty", "text"])
    def test_what_is_no_sound_is_refused_without_naming_its_folder(
        self, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "no.wav").write_bytes(content)
        with pytest.raises(MediaError) as refusal:
            read_sound(tmp_path / "no.wav", 16_000, max_seconds=10)
        assert str(tmp_path) not in str(refusal.value)

    def test_a_truncated_sound_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "cut.flac"
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000).astype(np.float32)
        soundfile.write(path, noise, 16_000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(MediaError):
            read_sound(path, 16_000, max_seconds=10)


def levels_of(frames: np.ndarray) -> list[int]:
    """Return the mean gray level of every frame."""
    return [round(float(frame.mean())) for frame in frames]


CODECS = [
    ("libx264", "mp4"),
    ("libx265", "mp4"),
    ("mpeg4", "avi"),
    ("libvpx-vp9", "webm"),
    ("libvpx-vp9", "mkv"),
    ("libsvtav1", "mp4"),
]


class TestClips:
    @pytest.mark.parametrize(("codec", "suffix"), CODECS)
    def test_frames_come_from_the_midpoints_of_equal_segments(
        self, tmp_path: Path, codec: str, suffix: str
    ) -> None:
        levels = list(range(20, 220, 10))
        path = write_gray_clip(tmp_path / f"clip.{suffix}", levels, codec)
        frames = read_frames(path, 4)
        assert frames.dtype == np.uint8
        assert frames.shape == (4, 48, 64, 3)
        assert levels_of(frames) == pytest.approx([levels[i] for i in (2, 7, 12, 17)], abs=4)
        assert duration_seconds(path) == pytest.approx(2.0, abs=0.11)

    @pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libsvtav1", "mp4")])
    @pytest.mark.parametrize("num_available", [1, 3])
    def test_a_short_clip_repeats_its_last_frame(
        self, tmp_path: Path, codec: str, suffix: str, num_available: int
    ) -> None:
        levels = [50, 120, 200][:num_available]
        path = write_gray_clip(tmp_path / f"short.{suffix}", levels, codec)
        expected = levels + levels[-1:] * (5 - num_available)
        assert levels_of(read_frames(path, 5)) == pytest.approx(expected, abs=4)

    @pytest.mark.parametrize(
        ("matrix", "expected"),
        [
            ((1, 0, 0, 1), ("red", "green", "blue", "white")),
            ((0, 1, -1, 0), ("blue", "red", "white", "green")),  # clockwise
            ((-1, 0, 0, -1), ("white", "blue", "green", "red")),
            ((0, -1, 1, 0), ("green", "white", "red", "blue")),
            ((-1, 0, 0, 1), ("green", "red", "white", "blue")),  # mirrored
            ((1, 0, 0, -1), ("blue", "white", "red", "green")),
            ((0, 1, 1, 0), ("red", "blue", "green", "white")),
            ((0, -1, -1, 0), ("white", "green", "blue", "red")),
            ((-2, 0, 0, 2), ("green", "red", "white", "blue")),  # larger, too
            ((0.8, 0.6, -0.6, 0.8), ("red", "green", "blue", "white")),  # nearer to upright
            ((0.6, 0.8, -0.8, 0.6), ("blue", "red", "white", "green")),
            ((0, 0, 0, 0), ("red", "green", "blue", "white")),
        ],
    )
    def test_frames_are_upright(
        self, tmp_path: Path, matrix: tuple[int, ...], expected: tuple[str, ...]
    ) -> None:
        colours = {"red": RED, "green": (0, 255, 0), "blue": (0, 0, 255), "white": WHITE}
        picture = np.zeros((48, 64, 3), dtype=np.uint8)
        quarters = [
            (rows, columns)
            for rows in (slice(24), slice(24, 48))
            for columns in (slice(32), slice(32, 64))
        ]
        for quarter, colour in zip(quarters, colours.values(), strict=True):
            picture[quarter] = colour
        path = write_clip(tmp_path / "turned.mp4", [picture] * 4)
        turn_mp4(path, matrix)
        frame = read_frames(path, 2)[1].astype(int)
        corners = [frame[6, 6], frame[6, -7], frame[-7, 6], frame[-7, -7]]
        nearest = [
            min(colours, key=lambda name: np.abs(corner - colours[name]).sum())
            for corner in corners
        ]
        assert tuple(nearest) == expected
        assert frame.shape[:2] == ((48, 64) if abs(matrix[0]) >= abs(matrix[1]) else (64, 48))

    @given(num_available=st.integers(1, 10_000), num_frames=st.integers(1, 64))
    def test_frame_indices_ascend_and_exist(self, num_available: int, num_frames: int) -> None:
        indices = frame_indices(num_available, num_frames)
        assert len(indices) == num_frames
        assert indices[0] >= 0
        assert indices[-1] < num_available
        step = np.diff(indices)
        assert (step >= (num_available >= num_frames)).all()

    def test_a_sound_is_no_clip(self, tmp_path: Path) -> None:
        path = write_sound_with_ffmpeg(tmp_path / "sound.mp4", sine(440, 0.5, 16_000), 16_000)
        with pytest.raises(MediaError, match="no moving pictures"):
            read_frames(path, 4)

    @pytest.mark.parametrize("content", [b"", b"a text\n" * 100], ids=["empty", "text"])
    def test_what_is_no_clip_is_refused_without_naming_its_folder(
        self, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "no.mp4").write_bytes(content)
        with pytest.raises(MediaError) as refusal:
            read_frames(tmp_path / "no.mp4", 4)
        assert str(tmp_path) not in str(refusal.value)

    def test_a_clip_that_points_where_no_file_reaches_is_refused(self, tmp_path: Path) -> None:
        path = write_gray_clip(tmp_path / "far.wmv", range(0, 200, 5), "wmv2")
        content = path.read_bytes()
        stream_properties = content.index(bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365"))
        size_end = stream_properties + 24
        path.write_bytes(content[: size_end - 1] + b"\x32" + content[size_end:][:150])
        with pytest.raises(MediaError, match="can be decoded"):
            read_frames(path, 4)

    def test_a_truncated_clip_is_refused(self, tmp_path: Path) -> None:
        path = write_gray_clip(tmp_path / "cut.mp4", range(0, 200, 5))
        path.write_bytes(path.read_bytes()[:-400])  # the index of an MP4 is at its end
        with pytest.raises(MediaError):
            read_frames(path, 4)
