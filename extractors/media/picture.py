"""Pictures: whatever Pillow opens, and SVG, as upright sRGB on white."""

from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.base import MediaError
from extractors.media.pictures import alpha, colour, jpeg2000, svg, tiff

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

_PREFIX_BYTES = 512
_ERRORS_OF_CONTENT = {None, EINVAL}  # such as a place before the file's beginning; others: the disk


def read_picture(path: Path, least_side: int | None = None) -> "Image.Image":
    """Read a picture: the first frame, upright by its EXIF, in sRGB, alpha laid on white.

    Gray of more than 8 bits is scaled to 8 by the range of the format; where that is not declared
    (floats, most of 32 bits), from the range found.

    Args:
        path: The file.
        least_side: Pixels that either side needs. A larger JPEG is decoded at a half, a quarter
            or an eighth of its size, at a fraction of the time; its pixels are not quite those
            that scaling it down would give. By default every picture has its full size.

    Returns:
        A picture of mode RGB.

    Raises:
        MediaError: If it is no picture, truncated, damaged, larger than `MAX_PIXELS`, or of a
            layout of which the colours are not known to be read right.
        OSError: If the file cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        return colour.to_rgb(_decode(path, least_side))
    except (MediaError, MemoryError, ImportError):
        raise
    except UnidentifiedImageError:
        raise MediaError("not a picture of a known format") from None
    except Image.DecompressionBombError:
        raise MediaError(f"larger than {MAX_PIXELS} pixels") from None
    except Exception as error:  # plugins raise anything from struct.error to SyntaxError
        if isinstance(error, OSError) and error.errno not in _ERRORS_OF_CONTENT:
            raise
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


def _decode(path: Path, least_side: int | None) -> "Image.Image":
    """Decode a picture, upright, of any mode that `colour.to_rgb` converts."""
    from PIL import Image

    with path.open("rb") as file:
        start = file.read(_PREFIX_BYTES)
    if start.startswith(tiff.PREFIXES):
        with tiff.open_tiff(path) as image:
            return tiff.correct_samples(_load(image))
    if start.startswith(jpeg2000.PREFIXES):
        header = jpeg2000.read_header(path)
        jpeg2000.refuse_layout(header)
        with Image.open(path, formats=("JPEG2000",)) as image:
            return jpeg2000.correct_samples(path, _load(image), header)
    if svg.may_be_drawing(start):
        with suppress(svg.NotADrawingError):  # a Targa may start like XML
            return svg.read_drawing(path)
    with Image.open(path, formats=FORMATS) as image:
        alpha.settle_channels(image, start)
        loaded = alpha.clear_around_frame(_load(image, least_side))
        return alpha.drop_unmeant_alpha(loaded, start)


def _load(image: "Image.Image", least_side: int | None = None) -> "Image.Image":
    """Load an image within bounds, and turn it upright."""
    from PIL import ImageOps

    _refuse_bomb(image)
    if least_side is not None:
        image.draft(None, (least_side, least_side))
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image
