"""Pictures: whatever Pillow opens, as upright RGB on white."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extractors.base import MediaError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 89_478_485
"""Pillow's own warning threshold for decompression bombs: a quarter GiB of RGB."""

_QUICK_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "PPM")
_OTHER_FORMATS = ("WEBP", "TIFF", "AVIF", "JPEG2000", "ICO", "ICNS", "TGA", "PSD", "DDS", "QOI")
FORMATS = (*_QUICK_FORMATS, *_OTHER_FORMATS)
"""Formats that are read, those first for which Pillow need not import all its plugins.

EPS is not among them: Pillow would run Ghostscript on the file.
"""

MAX_ASPECT = 100
"""Long side by short side of what a backbone that looks at the central square is shown."""

_MAX_UINT16 = 65535


def read_picture(path: Path, least_side: int | None = None) -> "Image.Image":
    """Read a picture: the first frame, upright by its EXIF, alpha laid on white.

    16-bit gray is scaled to 8 bits; floating-point and 32-bit gray, which declare no range, are
    stretched from the range found to 0..255.

    Args:
        path: The file.
        least_side: Pixels that either side needs. A larger JPEG is decoded at a half, a quarter
            or an eighth of its size, at a fraction of the time; its pixels are not quite those
            that scaling it down would give. By default every picture has its full size.

    Returns:
        A picture of mode RGB.

    Raises:
        MediaError: If it is no picture, truncated, damaged, or larger than `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_bomb(image)
            if least_side is not None:
                image.draft(None, (least_side, least_side))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except MediaError:
        raise
    except UnidentifiedImageError:
        raise MediaError("not a picture of a known format") from None
    except Image.DecompressionBombError:
        raise MediaError(f"larger than {MAX_PIXELS} pixels") from None
    except Exception as error:  # plugins raise anything from struct.error to SyntaxError
        reason = str(error) or type(error).__name__
        raise MediaError(f"cannot decode the picture: {reason}") from error


def central_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a picture without the far ends of its long side.

    Scaling the short side to a backbone's size and then cropping the central square discards these
    ends, but not before the long side, 30,000 by 20 pixels say, has taken memory without bound.
    """
    longest = MAX_ASPECT * min(width, height)
    left, top = max(width - longest, 0) // 2, max(height - longest, 0) // 2
    return left, top, width - left, height - top


def _refuse_bomb(image: "Image.Image") -> None:
    """Refuse by the size in the header, before a pixel is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise MediaError(f"{image.width} x {image.height} is larger than {MAX_PIXELS} pixels")


def _to_rgb(image: "Image.Image") -> "Image.Image":
    """Convert any mode to RGB. Plain `convert` clips wide modes and bares hidden colours."""
    from PIL import Image

    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _narrow(image).convert("RGB")
    if image.has_transparency_data:
        premultiplied = {"La": "LA", "RGBa": "RGBA"}
        rgba = image.convert(premultiplied.get(image.mode, image.mode)).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _narrow(image: "Image.Image") -> "Image.Image":
    """Scale gray of 16 bits, 32 bits or floats to 8 bits; a transparent gray becomes white."""
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        raise MediaError("holds pixels that are not finite numbers")
    if image.mode != "F" and low >= 0 and high <= _MAX_UINT16:
        low, high = 0.0, float(_MAX_UINT16)  # several plugins give 16-bit gray in mode I
    values -= low  # in place: of the largest pictures allowed, every copy takes 0.7 GB
    values *= 255.0 / max(high - low, np.finfo(np.float64).tiny)
    gray = np.rint(values, out=values).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[np.asarray(image) == transparent] = 255
    return Image.fromarray(gray)
