"""Colours: from whatever a picture's samples mean to 8 bits of sRGB on white."""

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError

if TYPE_CHECKING:
    from PIL import Image, ImageCms

_MAX_UINT8, _MAX_UINT16, _MAX_UINT32 = 255, 65535, 2**32 - 1
_SRGB_GAMMA = 0.45455  # what a PNG of sRGB declares
_GAMMA_TOLERANCE = 0.02
_SAME_COLOUR = 3  # a difference of 8-bit samples that does not count as another colour space
_GRID = 9
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def to_rgb(image: "Image.Image") -> "Image.Image":
    """Convert a loaded picture of any mode to RGB. Plain `convert` bares hidden colours."""
    from PIL import Image

    colours, alpha = _split(image)
    colours = _to_srgb(colours, image.info)
    if alpha is None:
        return colours
    colours.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")


def narrow(
    values: NDArray[np.generic], top: float | None = None, white_is_zero: bool = False
) -> "Image.Image":
    """Scale gray of more than 8 bits, or floats, to 8 bits.

    Args:
        values: Shape: (height, width).
        top: The value of white, black being 0. By default it is that of 16 bits for integers that
            have them, and of 32 bits or 1.0 for values of which the largest is nearer to it than
            to 0. Otherwise the range found becomes 0..255.
        white_is_zero: Whether large values are dark.

    Returns:
        A picture of mode L.

    Raises:
        MediaError: If a value is not finite.
    """
    from PIL import Image

    levels = values.astype(np.float64)
    low, high = float(levels.min()), float(levels.max())
    if not np.isfinite(high - low):
        raise MediaError("holds pixels that are not finite numbers")
    if top is None and low >= 0:
        top = _likely_top(high, np.issubdtype(values.dtype, np.integer))
    if top is not None:
        low, high = 0.0, top
    levels -= low  # in place: of the largest pictures allowed, every copy takes 0.7 GB
    levels *= _MAX_UINT8 / max(high - low, np.finfo(np.float64).tiny)
    gray = np.rint(levels, out=levels).clip(0, _MAX_UINT8, out=levels).astype(np.uint8)
    return Image.fromarray(_MAX_UINT8 - gray if white_is_zero else gray)


def _likely_top(high: float, integers: bool) -> float | None:
    """Return what white probably is, judged by the largest value."""
    if integers and high <= _MAX_UINT16:
        return _MAX_UINT16
    top = float(_MAX_UINT32) if integers else 1.0
    return top if top / 2 < high <= top else None


def _split(image: "Image.Image") -> tuple["Image.Image", "Image.Image | None"]:
    """Return a picture's colours, of mode L, RGB or CMYK, and its alpha."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _split_wide(image)
    if image.has_transparency_data:
        image = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
        image = image.convert("LA" if image.mode in {"1", "L", "LA"} else "RGBA")
        return image.convert(image.mode.removesuffix("A")), image.getchannel("A")
    if image.mode not in {"L", "RGB", "CMYK"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return image, None


def _split_wide(image: "Image.Image") -> tuple["Image.Image", "Image.Image | None"]:
    """Narrow wide gray, of which one level may be transparent."""
    from PIL import Image

    values = np.asarray(image)
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return narrow(values), None
    opaque = np.where(values == transparent, 0, _MAX_UINT8).astype(np.uint8)
    return narrow(values), Image.fromarray(opaque)


def _to_srgb(colours: "Image.Image", info: dict[Any, Any]) -> "Image.Image":
    """Convert L, RGB or CMYK to RGB by the embedded profile, or by a PNG's gamma."""
    from PIL import ImageCms

    profile, gamma = info.get("icc_profile"), info.get("gamma")
    if profile:
        transform = _transform(bytes(profile), colours.mode)
        if transform is not None:
            return ImageCms.applyTransform(colours, transform) or colours
    elif gamma and "srgb" not in info and colours.mode != "CMYK":
        colours = _without_gamma(colours, float(gamma))
    return colours if colours.mode == "RGB" else colours.convert("RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """Return what converts a mode by a profile; None if that is of no use, or changes nothing."""
    from PIL import Image, ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or of another colour space
        return None
    steps = np.linspace(0, _MAX_UINT8, _GRID).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_GRID, -1, 3)
    colours = Image.fromarray(grid).convert(mode)
    converted = ImageCms.applyTransform(colours, transform)
    plain, managed = np.asarray(colours.convert("RGB"), int), np.asarray(converted, int)
    return None if np.abs(plain - managed).max() <= _SAME_COLOUR else transform


def _without_gamma(colours: "Image.Image", gamma: float) -> "Image.Image":
    """Apply the gamma that a PNG declares instead of sRGB's curve."""
    if abs(gamma - _SRGB_GAMMA) < _GAMMA_TOLERANCE:
        return colours
    linear = np.linspace(0, 1, _MAX_UINT8 + 1) ** (1 / gamma)
    curve = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels = np.rint(curve * _MAX_UINT8).astype(int).tolist()
    return colours.point(levels * len(colours.getbands()))
