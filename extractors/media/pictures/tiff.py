"""TIFF: layouts of samples that Pillow reads wrong are corrected by the tags, or refused."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.base import MediaError
from extractors.media.pictures.colour import narrow

if TYPE_CHECKING:
    from PIL import Image, TiffImagePlugin

PREFIXES = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")

_MAX_PAGES_SKIPPED = 16
_SMALLER_COPY, _MASK = 1, 4  # bits of NewSubfileType
_SUBFILE_TYPE, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR = 254, 258, 262, 277, 284
_SAMPLE_FORMAT, _COLOUR_MAP = 339, 320
_WHITE_IS_ZERO, _PALETTE = 0, 3
_SIGNED, _SEPARATE_PLANES = 2, 2
_ALLOWED = {332: ("InkSet", {1}), 346: ("Indexed", {0}), 433: ("Decode", set[int]())}
"""Tags that change what the samples mean, which Pillow does not look at, and their values."""

_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""libtiff returns samples in this machine's order of bytes, which Pillow regards for some only."""


def open_tiff(path: Path) -> "Image.Image":
    """Open a TIFF at its first page that is neither a thumbnail nor a mask.

    Raises:
        MediaError: If its samples are laid out in a way that is not read.
    """
    from PIL import Image, TiffImagePlugin, UnidentifiedImageError

    # Pillow's own decoder disregards planes of 16 bits and the subsampling of YCbCr.
    TiffImagePlugin.READ_LIBTIFF = True
    try:
        image: Any = Image.open(path, formats=("TIFF",))
    except UnidentifiedImageError:
        raise MediaError("a TIFF that is damaged, or of a layout that is not read") from None
    try:
        _skip_thumbnails(image)
        _refuse_layout(image.tag_v2)
    except BaseException:
        image.close()
        raise
    image.tile = [_in_native_order(tile) for tile in image.tile]
    return image  # type: ignore[no-any-return]


def correct_samples(image: "Image.Image") -> "Image.Image":
    """Return a loaded TIFF with the samples that its tags declare."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, kind = tags.get(_BITS, (1,))[0], tags.get(_SAMPLE_FORMAT, (1,))[0]
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if image.mode == "P" and max(tags[_COLOUR_MAP]) < 256:  # written as 8 bits, against the rules
        image.putpalette(bytes(tags[_COLOUR_MAP]), "RGB;L")
        return image
    values = np.asarray(image)
    if image.mode == "L" and kind == _SIGNED:
        return narrow(values.view(np.int8), white_is_zero=white_is_zero)
    if image.mode == "I" and kind != _SIGNED and bits == 32:
        return narrow(values.view(np.uint32), white_is_zero=white_is_zero)
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        top = 2**bits - 1 if image.mode.startswith("I;16") else None
        return narrow(values, top, white_is_zero)
    return image


def _skip_thumbnails(image: Any) -> None:
    """Go to the first page that is a picture in its own right, if there is one."""
    for page in range(_MAX_PAGES_SKIPPED):
        try:
            image.seek(page)
        except EOFError:
            break
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & (_SMALLER_COPY | _MASK):
            return
    image.seek(0)


def _refuse_layout(tags: "TiffImagePlugin.ImageFileDirectory_v2") -> None:
    photometric, samples = tags.get(_PHOTOMETRIC, 0), tags.get(_SAMPLES, 1)
    if tags.get(_PLANAR, 1) == _SEPARATE_PLANES and samples > 1 and photometric <= 1:
        raise MediaError("a TIFF of gray in separate planes, which is not read")
    for tag, (name, allowed) in _ALLOWED.items():
        if tag in tags and tags[tag] not in allowed:
            raise MediaError(f"a TIFF with {name} {tags[tag]}, which is not read")


def _in_native_order(tile: Any) -> Any:
    raw_mode, *others = tile.args
    return tile._replace(args=(_NATIVE.get(raw_mode, raw_mode), *others))
