"""JPEG 2000 of every depth: white is white and red is red, or the file is refused."""

import struct
from base64 import b64decode
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from extractors.base import MediaError
from extractors.media.picture import read_picture

WHITE, RED = (255, 255, 255), (255, 0, 0)
RED_AS_GRAY = (54, 54, 54)

CODESTREAMS = {
    "gray-4": (
        "/0//UQApAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAAB"
        "AwEB/1IADAAAAAEAAAQEAAH/XAAEQCD/kAAKAAAAAAATAAH/k8+EIAAP/9k="
    ),
    "rgb-4": (
        "/0//UQAvAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAADAwEBAwEB"
        "AwEB/1IADAAAAAEBAAQEAAH/XAAEQCD/kAAKAAAAAAAZAAH/k8+EIAAPgN8gIAsX/9k="
    ),
    "gray-9": (
        "/0//UQApAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAAB"
        "CAEB/1IADAAAAAEAAAQEAAH/XAAEQEj/kAAKAAAAAAAUAAH/k8/ADAAEP//Z"
    ),
    "rgb-9": (
        "/0//UQAvAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAADCAEBCAEB"
        "CAEB/1IADAAAAAEBAAQEAAH/XAAEQEj/kAAKAAAAAAAaAAH/k8/ADAACsYDfmBALG//Z"
    ),
    "rgb-12": (
        "/0//UQAvAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAADCwEBCwEBCwEB"
        "/1IADAAAAAEBAAQEAAH/XAAEQGD/kAAKAAAAAAAbAAH/k8/kEAACsA+A3+AICxv/2Q=="
    ),
    "rgb-16": (
        "/0//UQAvAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAADDwEBDwEBDwEB"
        "/1IADAAAAAEBAAQEAAH/XAAEQID/kAAKAAAAAAAeAAH/k8/8MBQAArAIB4Df+JAQCxv/2Q=="
    ),
    "rgba-12": (
        "/0//UQAyAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAAECwEBCwEBCwEBCwEB/1IA"
        "DAAAAAEAAAQEAAH/XAAEQGD/kAAKAAAAAAAkAAH/k8/kCAGv3+AUC7KKST/f4BQLsopJP4D/2Q=="
    ),
    "graya-12": (
        "/0//UQAsAAAAAAACAAAAAQAAAAAAAAAAAAAAAgAAAAEAAAAAAAAAAAACCwEB"
        "CwEB/1IADAAAAAEAAAQEAAH/XAAEQGD/kAAKAAAAAAAWAAH/k8/kEAAEE3+A/9k="
    ),
}
"""A white and a red pixel, written by ImageMagick's `-depth`, whose gray is Rec. 709's; alpha is a
half. No library that is installed here writes more than 8 bits of colour."""


def codestream(name: str) -> bytes:
    return b64decode(CODESTREAMS[name])


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2(stream: bytes, *boxes: bytes, colour: bytes = b"\1\0\0\0\0\0\x10") -> bytes:
    """Wrap a codestream, by default as sRGB."""
    (num_components,) = struct.unpack_from(">H", stream, 40)
    depth = stream[42]
    header = box(b"ihdr", struct.pack(">IIHBBBB", 1, 2, num_components, depth, 7, 0, 0))
    return (
        b"\0\0\0\x0cjP  \r\n\x87\n"
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + box(b"jp2h", header + box(b"colr", colour) + b"".join(boxes))
        + box(b"jp2c", stream)
    )


def pixels_of(folder: Path, content: bytes) -> list[tuple[int, ...]]:
    path = folder / "picture"
    path.write_bytes(content)
    picture = read_picture(path)
    return [picture.getpixel((x, 0)) for x in range(picture.width)]


@pytest.mark.parametrize("name", ["rgb-4", "rgb-9", "rgb-12", "rgb-16"])
@pytest.mark.parametrize("wrap", [bytes, jp2])
def test_full_intensity_is_that_of_8_bits(tmp_path: Path, name: str, wrap: type[bytes]) -> None:
    assert pixels_of(tmp_path, wrap(codestream(name))) == [WHITE, RED]


@pytest.mark.parametrize("name", ["gray-4", "gray-9"])
def test_gray_is_that_of_8_bits(tmp_path: Path, name: str) -> None:
    gray = jp2(codestream(name), colour=b"\1\0\0\0\0\0\x11")
    for content in (codestream(name), gray):
        white, red = pixels_of(tmp_path, content)
        assert white == WHITE
        assert red == pytest.approx(RED_AS_GRAY, abs=8)  # half a step of 4 bits


def test_wide_alpha_is_laid_on_white(tmp_path: Path) -> None:
    assert pixels_of(tmp_path, codestream("rgba-12")) == [WHITE, pytest.approx((255, 127, 127), 1)]


def test_the_embedded_profile_is_applied(tmp_path: Path) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    content = jp2(codestream("rgb-12"), colour=b"\2\0\0" + bytes(profile))
    assert pixels_of(tmp_path, content)[1] == pytest.approx((0, 0, 255), abs=2)


def signed(stream: bytes) -> bytes:
    return stream[:42] + bytes([stream[42] | 0x80]) + stream[43:]


def mixed(stream: bytes) -> bytes:
    return stream[:42] + b"\x07" + stream[43:]


def subsampled(stream: bytes) -> bytes:
    return stream[:46] + b"\x02\x02" + stream[48:]


PREMULTIPLIED = box(b"cdef", struct.pack(">H12H", 4, 0, 0, 1, 1, 0, 2, 2, 0, 3, 3, 2, 0))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (signed(codestream("rgb-12")), "signed samples"),
        (mixed(codestream("rgb-12")), "components of different depths"),
        (subsampled(codestream("rgb-4")), "subsampled components"),
        (codestream("graya-12"), "wide gray with alpha"),
        (jp2(codestream("rgb-4"), colour=b"\1\0\0\0\0\0\x18"), "the colour space 24"),
        (jp2(codestream("rgb-12"), colour=b"\1\0\0\0\0\0\x12"), "wide CMYK or YCC"),
        (jp2(codestream("rgba-12"), PREMULTIPLIED), "channels of other kinds"),
        (jp2(codestream("gray-4"), box(b"pclr", b"\0\1\3\7\7\7abc")), "a palette of other than 8"),
    ],
)
def test_what_would_be_read_wrong_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=f"a JPEG 2000 with {reason}"):
        pixels_of(tmp_path, content)


@pytest.mark.parametrize("num_bytes", [20, 44, 60])
def test_a_header_cut_short_is_refused(tmp_path: Path, num_bytes: int) -> None:
    for content in (codestream("rgb-12"), jp2(codestream("rgb-12"))):
        with pytest.raises(MediaError):
            pixels_of(tmp_path, content[:num_bytes])


def test_a_wide_picture_cut_short_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jp2"
    Image.effect_noise((64, 64), 60).convert("I;16").point(lambda value: value * 257).save(whole)
    assert len(set(pixels_of(tmp_path, whole.read_bytes()))) > 1
    with pytest.raises(MediaError):
        pixels_of(tmp_path, whole.read_bytes()[: whole.stat().st_size // 2])
