"""TIFF of any layout: it reads as the plain picture does, or is refused."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter
from tiff_files import Layout, Samples, tiff

from extractors.base import MediaError
from extractors.media.picture import read_picture

HEIGHT, WIDTH = 20, 24
ORDERS = ("<", ">")
STORED = {
    "strips": {},
    "tiles": {"tile": 16},
    "deflate": {"deflate": True},
    "deflated tiles": {"tile": 16, "deflate": True},
    "differences": {"deflate": True, "predictor": 2},
    "planes": {"planes": True},
    "deflated planes": {"planes": True, "deflate": True},
}


def coloured() -> NDArray[np.uint8]:
    """Shape: (HEIGHT, WIDTH, 3)."""
    pixels = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    pixels[2:8, 3:20] = (200, 30, 40)
    pixels[10:18, 5:9] = (20, 60, 220)
    pixels[19:] = 20
    return pixels


def gray() -> NDArray[np.uint8]:
    """Shape: (HEIGHT, WIDTH, 1)."""
    return np.asarray(Image.fromarray(coloured()).convert("L"))[..., np.newaxis]


def widened(pixels: NDArray[np.uint8], bits: int, kind: int = 1) -> Samples:
    """Spread 0..255 over the range of a format."""
    if kind == 3:
        return (pixels / 255).astype(f"f{bits // 8}")
    levels = np.rint(pixels / 255.0 * (2**bits - 1))
    if kind == 2:
        return (levels - 2 ** (bits - 1)).astype(f"i{bits // 8}")
    return levels.astype("u1" if bits <= 8 else "u2" if bits <= 16 else "u4")


def read(folder: Path, content: bytes) -> NDArray[np.int64] | None:
    """Return the pixels, or None if the file is refused."""
    path = folder / "picture.tif"
    path.write_bytes(content)
    try:
        return np.asarray(read_picture(path)).astype(np.int64)
    except MediaError:
        return None


def layouts(**fixed: object) -> list[Layout]:
    return [
        Layout(order=order, **fixed, **stored)  # type: ignore[arg-type]
        for order, stored in product(ORDERS, STORED.values())
    ]


def check(folder: Path, samples: Samples, every: list[Layout], expected: Samples) -> int:
    """Return how many layouts are read; each must be as expected, up to half a step of 4 bits."""
    found = [read(folder, tiff(samples, layout)) for layout in every]
    for layout, pixels in zip(every, found, strict=True):
        if pixels is not None:
            np.testing.assert_allclose(
                pixels, np.broadcast_to(expected, pixels.shape), atol=9, err_msg=str(layout)
            )
    return sum(pixels is not None for pixels in found)


@pytest.mark.parametrize("bits", [4, 8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("photometric", [0, 1])
def test_gray_keeps_its_brightness(tmp_path: Path, bits: int, photometric: int) -> None:
    stored = gray() if photometric else 255 - gray()
    every = [
        layout
        for layout in layouts(bits=bits, photometric=photometric)
        if layout.predictor == 1 or bits % 8 == 0
    ]
    num_read = check(tmp_path, widened(stored, bits), every, gray())
    if (bits, photometric) in {(4, 0), (4, 1), (8, 0), (8, 1), (16, 0), (16, 1), (12, 1), (32, 1)}:
        assert num_read >= len(every) // 2 - 1  # of some, little-endian only


@pytest.mark.parametrize("photometric", [0, 1])
def test_floats_between_0_and_1_keep_their_brightness(tmp_path: Path, photometric: int) -> None:
    stored = gray() if photometric else 255 - gray()
    every = [
        *(
            layout
            for layout in layouts(bits=32, kind=3, photometric=photometric)
            if layout.predictor == 1
        ),
        *(Layout(32, photometric, order, 3, deflate=True, predictor=3) for order in ORDERS),
    ]
    assert check(tmp_path, widened(stored, 32, 3), every, gray()) == len(every)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_gray_is_stretched_and_never_wraps(tmp_path: Path, bits: int) -> None:
    levels = gray().astype(float)
    stretched = (levels - levels.min()) / (levels.max() - levels.min()) * 255
    every = layouts(bits=bits, kind=2)
    assert check(tmp_path, widened(gray(), bits, 2), every, stretched) > 0


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
@pytest.mark.parametrize("photometric", [2, 5])
def test_colours_are_those_of_8_bits(tmp_path: Path, bits: int, photometric: int) -> None:
    no_black = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    stored = coloured() if photometric == 2 else np.dstack([255 - coloured(), no_black])
    every = [
        layout
        for layout in layouts(bits=bits, photometric=photometric)
        if layout.predictor == 1 or bits % 8 == 0
    ]
    num_read = check(tmp_path, widened(stored, bits), every, coloured())
    assert num_read == (len(every) if bits in {8, 16} else 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("colour", [True, False])
def test_alpha_is_laid_on_white_and_other_channels_ignored(
    tmp_path: Path, bits: int, extra: int, colour: bool
) -> None:
    pixels = coloured() if colour else gray()
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))[..., np.newaxis]
    share = alpha / 255.0
    expected = pixels if extra == 0 else pixels * share + 255 * (1 - share)
    stored = np.rint(pixels * share).astype(np.uint8) if extra == 1 else pixels
    every = layouts(bits=bits, photometric=2 if colour else 1, extra=(extra,))
    num_read = check(tmp_path, widened(np.dstack([stored, alpha]), bits), every, expected)
    assert num_read > 0 or (bits == 16 and not colour)


def test_a_palette_of_8_bits_against_the_rules_is_scaled(tmp_path: Path) -> None:
    table = np.zeros((3, 256), int)
    table[:, 1] = (200, 30, 40)
    samples = np.ones((4, 4, 1), np.uint8)
    for scale in (1, 257):
        content = tiff(samples, Layout(photometric=3, tags={320: (table * scale).ravel().tolist()}))
        assert read(tmp_path, content) is not None
        assert read(tmp_path, content)[0, 0].tolist() == [200, 30, 40]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_depth_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    tags = {274: [orientation]}
    plain = read(tmp_path, tiff(gray(), Layout(tags=tags)))
    wide = read(tmp_path, tiff(widened(255 - gray(), 16), Layout(16, 0, tags=tags)))
    np.testing.assert_array_equal(wide, plain)
    assert (plain.shape[0] == WIDTH) == (orientation >= 5)


@pytest.mark.parametrize("kind", [1, 4])
def test_a_thumbnail_or_a_mask_in_front_is_skipped(tmp_path: Path, kind: int) -> None:
    picture, path = Image.fromarray(coloured()), tmp_path / "pages.tif"
    with AppendingTiffWriter(str(path), True) as pages:
        picture.resize((6, 5)).save(pages, "TIFF", tiffinfo={254: kind})
        pages.newFrame()
        picture.save(pages, "TIFF")
    np.testing.assert_array_equal(np.asarray(read_picture(path)), coloured())


@pytest.mark.parametrize(("tag", "value", "name"), [(332, 2, "InkSet"), (346, 1, "Indexed")])
def test_tags_that_change_what_samples_mean_are_refused(
    tmp_path: Path, tag: int, value: int, name: str
) -> None:
    path = tmp_path / "odd.tif"
    path.write_bytes(tiff(coloured(), Layout(photometric=2, tags={tag: [value]})))
    with pytest.raises(MediaError, match=f"a TIFF with {name} {value}"):
        read_picture(path)
