"""Colours of any format: profiles, gamma and transparency mean what their files declare."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from corpus_pictures import chunk, png
from PIL import Image, ImageCms

from extractors.base import MediaError
from extractors.media.picture import MAX_PIXELS, read_picture
from extractors.media.pictures.colour import narrow

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped(profile: bytes) -> bytes:
    """Return a profile whose red is blue."""
    changed = bytearray(profile)
    red, blue = changed.index(b"rXYZ"), changed.index(b"bXYZ")
    changed[red : red + 4], changed[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(changed)


def pixels_of(folder: Path, content: bytes) -> list[tuple[int, ...]]:
    path = folder / "picture"
    path.write_bytes(content)
    picture = read_picture(path)
    return [picture.getpixel((x, 0)) for x in range(picture.width)]


def saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


class TestProfiles:
    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
    def test_an_embedded_profile_is_applied(
        self, tmp_path: Path, file_format: str, mode: str
    ) -> None:
        picture = Image.new("RGB", (8, 8), RED).convert(mode)
        if (file_format, mode) in {("JPEG", "RGBA"), ("JPEG", "P"), ("AVIF", "P")}:
            picture = picture.convert("RGB")
        content = saved(picture, file_format, icc_profile=swapped(SRGB), lossless=True)
        assert pixels_of(tmp_path, content)[0] == pytest.approx(BLUE, abs=3)

    @pytest.mark.parametrize("profile", [SRGB, b"garbage" * 40, swapped(SRGB)[:200]])
    def test_srgb_and_damaged_profiles_change_nothing(self, tmp_path: Path, profile: bytes) -> None:
        picture = Image.effect_mandelbrot((16, 4), (-2, -1, 1, 1), 50).convert("RGB")
        plain, tagged = (saved(picture, "PNG", icc_profile=each) for each in (None, profile))
        assert pixels_of(tmp_path, tagged) == pixels_of(tmp_path, plain)

    def test_a_profile_of_another_colour_space_is_ignored(self, tmp_path: Path) -> None:
        content = saved(Image.new("L", (8, 8), 90), "PNG", icc_profile=swapped(SRGB))
        assert pixels_of(tmp_path, content)[0] == (90, 90, 90)


class TestPng:
    @pytest.mark.parametrize(
        ("gamma", "found"), [(100_000, 188), (45_455, 128), (55_556, 146), (0, 128)]
    )
    def test_gamma_is_applied(self, tmp_path: Path, gamma: int, found: int) -> None:
        gray = np.array([[128, 0, 255]], np.uint8)
        content = png(gray, 8, 0, chunk(b"gAMA", struct.pack(">I", gamma)))
        levels = [pixel[0] for pixel in pixels_of(tmp_path, content)]
        assert levels == pytest.approx([found, 0, 255], abs=1)

    def test_srgb_wins_over_gamma(self, tmp_path: Path) -> None:
        chunks = chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 100_000))
        assert pixels_of(tmp_path, png(np.full((1, 1), 128, np.uint8), 8, 0, *chunks)) == [
            (128,) * 3
        ]

    @pytest.mark.parametrize(
        ("depth", "row", "level", "expected"),
        [
            (1, 0b01000000, 1, [0, 255]),
            (1, 0b01000000, 0, [255, 255]),
            (2, 0b10010000, 2, [255, 85]),
            (4, 0x35, 3, [255, 85]),
            (8, None, 90, [255, 91]),
        ],
    )
    def test_a_transparent_level_of_any_depth_is_white(
        self, tmp_path: Path, depth: int, row: int, level: int, expected: list[int]
    ) -> None:
        raw = bytes([90, 91]) if depth == 8 else bytes([row])
        header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
        whole = png(
            np.frombuffer(raw, np.uint8)[np.newaxis],
            depth,
            0,
            chunk(b"tRNS", struct.pack(">H", level)),
        )
        content = whole[:8] + chunk(b"IHDR", header) + whole[33:]
        assert [pixel[0] for pixel in pixels_of(tmp_path, content)] == expected

    def test_a_transparent_colour_of_16_bits_is_refused(self, tmp_path: Path) -> None:
        pixels = np.array([[[0x1234, 0x5678, 0x9ABC]]], ">u2")
        with pytest.raises(MediaError, match="a PNG of 16 bits with a transparent colour"):
            pixels_of(tmp_path, png(pixels, 16, 2, chunk(b"tRNS", pixels.tobytes())))


def tga(kind: int, bits: int, flags: int, data: bytes) -> bytes:
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, kind, 0, 0, 0, 0, 0, 2, 1, bits, 0x20 | flags)
    return header + data + bytes(40)


def bmp(data: bytes, masks: bytes, header_bytes: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", header_bytes, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(header) + 8, 0, 0, 14 + len(header)) + header + data
    )


def icon(bits: int, pixel: bytes, mask: bytes) -> bytes:
    content = struct.pack("<IiiHHIIiiII", 40, 1, 2, 1, bits, 0, 0, 0, 0, 0, 0) + pixel + mask
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 1, 1, 0, 0, 1, bits, len(content), 22) + content


RED_THEN_BLUE = bytes([0, 0, 255, 0, 255, 0, 0, 0])
OPAQUE_THEN_CLEAR = bytes([0, 0, 255, 255, 255, 0, 0, 0])
MASKS = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tga(2, 32, 0, RED_THEN_BLUE), [RED, BLUE]),
        (tga(2, 32, 8, OPAQUE_THEN_CLEAR), [RED, WHITE]),
        (tga(2, 16, 0, struct.pack("<HH", 0x7C00, 0x001F)), [RED, BLUE]),
        (tga(2, 16, 1, struct.pack("<HH", 0xFC00, 0x001F)), [RED, BLUE]),
        (tga(3, 16, 8, bytes([0, 255, 0, 0])), [(0, 0, 0), WHITE]),
        (bmp(RED_THEN_BLUE, MASKS[:12], 40), [RED, BLUE]),
        (bmp(RED_THEN_BLUE, MASKS, 108), [RED, BLUE]),
        (bmp(OPAQUE_THEN_CLEAR, MASKS, 108), [RED, WHITE]),
        (icon(32, RED_THEN_BLUE[:4], bytes(4)), [RED]),
        (icon(24, RED_THEN_BLUE[:4], bytes(4)), [RED]),
        (icon(24, RED_THEN_BLUE[:4], b"\x80\0\0\0"), [WHITE]),
    ],
)
def test_alpha_that_a_format_does_not_mean_hides_nothing(
    tmp_path: Path, content: bytes, expected: list[tuple[int, ...]]
) -> None:
    assert pixels_of(tmp_path, content) == expected


def test_around_the_first_frame_of_a_gif_is_nothing(tmp_path: Path) -> None:
    plain = saved(Image.new("P", (1, 1), 0), "GIF")
    wide = plain[:6] + struct.pack("<HH", 2, 1) + plain[10:]
    assert pixels_of(tmp_path, plain) == [(0, 0, 0)]
    assert pixels_of(tmp_path, wide) == [(0, 0, 0), WHITE]


def test_a_targa_may_start_like_xml(tmp_path: Path) -> None:
    plain = tga(2, 24, 0, bytes([0, 0, 255, 255, 0, 0]))
    named = b"<" + plain[1:18] + b"n" * ord("<") + plain[18:]
    assert pixels_of(tmp_path, named) == pixels_of(tmp_path, plain) == [RED, BLUE]


@pytest.mark.parametrize(
    ("mode", "channels", "bits"), [(0, 1, 1), (1, 2, 8), (4, 5, 8), (7, 4, 8), (8, 1, 8)]
)
def test_a_psd_that_would_be_misread_is_refused(
    tmp_path: Path, mode: int, channels: int, bits: int
) -> None:
    header = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", channels, 1, 1, bits, mode)
    with pytest.raises(MediaError, match=f"a PSD of mode {mode} with {channels} channels"):
        pixels_of(tmp_path, header + bytes(14) + bytes(channels))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_jpeg_too_large_is_refused_even_if_it_is_read_smaller(tmp_path: Path) -> None:
    content = saved(Image.new("L", (8, 8)), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    (tmp_path / "a.jpg").write_bytes(
        content[:place] + struct.pack(">HH", 60_000, 2_000) + content[place + 4 :]
    )
    with pytest.raises(MediaError, match=f"larger than {MAX_PIXELS} pixels"):
        read_picture(tmp_path / "a.jpg", least_side=128)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.25, 1.0]], np.float32), [64, 255]),
        (np.array([[0.0, 0.1]], np.float32), [0, 255]),
        (np.array([[-1.0, 1.0]], np.float32), [0, 255]),
        (np.array([[2**30, 2**32 - 1]], np.uint32), [64, 255]),
        (np.array([[0, 2**20]], np.uint32), [0, 255]),
        (np.array([[2**14, 2**16 - 1]], np.uint32), [64, 255]),
        (np.array([[7, 7]], np.int32), [0, 0]),
    ],
)
def test_gray_without_a_declared_range_is_scaled_by_what_it_holds(
    values: np.ndarray, expected: list[int]
) -> None:
    assert np.asarray(narrow(values)).ravel().tolist() == expected
    inverted = narrow(values, white_is_zero=True)
    assert np.asarray(inverted).ravel().tolist() == [255 - level for level in expected]
