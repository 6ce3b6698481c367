"""Transparency and channels of PNG, GIF, TGA, BMP, ICO and PSD, where Pillow misreads them."""

import struct
from typing import TYPE_CHECKING, Any

from extractors.base import MediaError

if TYPE_CHECKING:
    from PIL import Image

_PNG_LEVEL_STEPS = {"1": 255, "L;2": 85, "L;4": 17}
"""By how much Pillow multiplies a PNG's narrow gray, but not the level that is transparent."""

_TGA_KIND, _TGA_BITS, _TGA_FLAGS = 2, 16, 17
_TGA_KINDS, _TGA_COLOURS = 7, 2
_TGA_ALPHA_BITS = 0x0F
_BITS_WITH_ALPHA = 32
_HIDDEN_BY_HABIT = {"BMP", "DIB", "ICO", "TGA"}
"""Formats whose fourth byte many programs leave zero, without meaning transparency."""

_PSD_CHANNELS = {1: {1}, 2: {1}, 3: {3, 4}, 4: {4}, 9: {3}}
"""Numbers of channels by colour mode: gray, palette, RGB, CMYK, Lab. Not among them are bitmaps,
duotones and more channels, of which Pillow gets the polarity, the inks or the places wrong."""


def settle_channels(image: Any, start: bytes) -> None:
    """Correct what an image just opened believes of its channels.

    Args:
        image: The image, not loaded yet.
        start: The beginning of its file.

    Raises:
        MediaError: If Pillow would misread them.
    """
    if image.format == "PNG":
        _settle_png(image)
    elif image.format == "PSD":
        channels, mode = struct.unpack_from(">12xH10xH", start)
        if channels not in _PSD_CHANNELS.get(mode, ()):
            raise MediaError(f"a PSD of mode {mode} with {channels} channels, which is not read")


def drop_unmeant_alpha(image: "Image.Image", start: bytes) -> "Image.Image":
    """Return a loaded image without an alpha channel that its format does not mean."""
    if image.format not in _HIDDEN_BY_HABIT or image.mode not in {"LA", "RGBA"}:
        return image
    if image.format == "TGA" and not _declares_alpha(start):
        unmeant = True
    elif image.format == "ICO" and _icon_bits(image) != _BITS_WITH_ALPHA:
        unmeant = False  # it is the mask that every icon has
    else:
        unmeant = image.getchannel("A").getextrema() == (0, 0)
    return image.convert(image.mode.removesuffix("A")) if unmeant else image


def clear_around_frame(image: Any) -> "Image.Image":
    """Return a loaded GIF with nothing around its first frame, where Pillow puts some colour."""
    from PIL import Image

    if image.format != "GIF" or image.dispose_extent == (0, 0, *image.size):
        return image  # type: ignore[no-any-return]
    canvas = Image.new("RGBA", image.size)
    canvas.paste(image.crop(image.dispose_extent).convert("RGBA"), image.dispose_extent[:2])
    return canvas


def _icon_bits(image: Any) -> int:
    """Return the bits a pixel of an icon's largest picture."""
    return int(image.ico.entry[0].bpp)


def _declares_alpha(start: bytes) -> bool:
    """Whether a TGA has alpha; programs disagree on what the single bit of 16-bit colours means."""
    kind, bits, flags = start[_TGA_KIND], start[_TGA_BITS], start[_TGA_FLAGS]
    coloured = kind & _TGA_KINDS == _TGA_COLOURS
    return bool(flags & _TGA_ALPHA_BITS) and not (coloured and bits != _BITS_WITH_ALPHA)


def _settle_png(image: Any) -> None:
    """Give the transparent level in the measure of the pixels."""
    transparent, raw_mode = image.info.get("transparency"), image.tile and image.tile[0].args
    if isinstance(transparent, tuple) and raw_mode == "RGB;16B":
        raise MediaError("a PNG of 16 bits with a transparent colour, which is not read")
    if isinstance(transparent, int):
        image.info["transparency"] = transparent * _PNG_LEVEL_STEPS.get(str(raw_mode), 1)
