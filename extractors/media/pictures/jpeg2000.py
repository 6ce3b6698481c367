"""JPEG 2000: what Pillow does with samples of other than 8 bits, corrected or refused.

Pillow shifts narrower samples without filling them up (white of 4 bits is 240), and wider ones of
colours beyond their range (white becomes 0). Hence wider ones are FFmpeg's task. The header's
boxes: ISO/IEC 15444-1, annex I; the codestream's: annex A.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extractors.base import MediaError

if TYPE_CHECKING:
    from PIL import Image

_CODESTREAM = b"\xff\x4f\xff\x51"
PREFIXES = (_CODESTREAM, b"\0\0\0\x0cjP  \r\n\x87\n")

_MAX_HEADER_BYTES = 2**24
_SIZ_DEPTHS = 42  # where the components are described
_PLAIN, _WIDEST = 8, 16  # bits
_CMYK, _SRGB, _GRAY, _SYCC = 12, 16, 17, 18
_BY_NUMBER = 1
_COLOUR, _ALPHA = 0, 1


@dataclass(frozen=True)
class Header:
    """What the samples of a JPEG 2000 mean.

    Attributes:
        depths: Bits of each component, negative if they are signed.
        subsampled: Whether a component has fewer samples than there are pixels.
        colour_space: Number of the colour space, if there is one.
        profile: The embedded profile, if any.
        palette: Whether the samples are indices.
        channels: Type of each channel that is declared: colour, alpha, or another.
    """

    depths: tuple[int, ...]
    subsampled: bool
    colour_space: int | None
    profile: bytes | None
    palette: bool
    channels: tuple[int, ...]


def read_header(path: Path) -> Header:
    """Read the header of a JPEG 2000.

    Raises:
        MediaError: If it is damaged.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_HEADER_BYTES)
    try:
        return _parse_header(content)
    except (struct.error, IndexError, KeyError) as error:
        raise MediaError("cannot decode the picture: a damaged header") from error


def refuse_layout(header: Header) -> None:
    """Refuse what neither Pillow nor FFmpeg reads right.

    Raises:
        MediaError: If the header declares such a thing.
    """
    depth, space = header.depths[0], header.colour_space
    alpha_first = _ALPHA in header.channels[:-1]
    complaints = {
        "signed samples": depth < 0,
        "components of different depths": len(set(header.depths)) > 1,
        "subsampled components": header.subsampled and (space != _SYCC or depth != _PLAIN),
        f"the colour space {space}": space not in {None, _CMYK, _SRGB, _GRAY, _SYCC},
        "a palette of other than 8 bits": header.palette and depth != _PLAIN,
        "channels of other kinds": alpha_first or not {*header.channels} <= {_COLOUR, _ALPHA},
        "wide CMYK or YCC": depth > _PLAIN and space in {_CMYK, _SYCC},
        "wide gray with alpha": len(header.depths) == 2 and _PLAIN < depth < _WIDEST,
    }
    for complaint, found in complaints.items():
        if found:
            raise MediaError(f"a JPEG 2000 with {complaint}, which is not read")


def correct_samples(path: Path, image: "Image.Image", header: Header) -> "Image.Image":
    """Return a loaded JPEG 2000 with 8 bits a sample."""
    depth = header.depths[0]
    if depth > _PLAIN:
        image = _decode_wide(path)
    elif depth < _PLAIN:
        white = 256 - (1 << _PLAIN - depth)
        levels = [min(round(value * 255 / white), 255) for value in range(256)]
        image = image.point(levels * len(header.depths))
    if header.profile is not None:
        image.info["icc_profile"] = header.profile
    return image


def _decode_wide(path: Path) -> "Image.Image":
    """Decode samples of more than 8 bits by FFmpeg, to 8 bits."""
    import av
    from PIL import Image

    decoder = av.CodecContext.create("jpeg2000", "r")
    frames = decoder.decode(av.Packet(path.read_bytes())) or decoder.decode(None)
    wide = np.asarray(frames[0].reformat(format="rgba64le").to_ndarray(), np.uint16)
    rgba = Image.fromarray((wide >> _PLAIN).astype(np.uint8))
    return rgba if "a" in frames[0].format.name.removeprefix("gray") else rgba.convert("RGB")


def _parse_header(content: bytes) -> Header:
    header: dict[bytes, bytes] = {}
    if not content.startswith(_CODESTREAM):
        boxes = dict(_boxes(content))
        header = dict(reversed(list(_boxes(boxes[b"jp2h"]))))  # of two of a kind, the first counts
        content = boxes[b"jp2c"]
    (num_components,) = struct.unpack_from(">H", content, _SIZ_DEPTHS - 2)
    parts = [content[_SIZ_DEPTHS + 3 * i :][:3] for i in range(num_components)]
    colour = header.get(b"colr", b"")
    by_number = colour[:1] == bytes([_BY_NUMBER])
    channels = header.get(b"cdef", b"\0\0")
    described = [struct.unpack_from(">HHH", channels, 2 + 6 * i) for i in range(channels[1])]
    return Header(
        tuple((part[0] & 127) + 1 if part[0] < 128 else -part[0] for part in parts),
        any(part[1:] != b"\1\1" for part in parts),
        struct.unpack_from(">I", colour, 3)[0] if by_number else None,
        colour[3:] if colour and not by_number else None,
        b"pclr" in header,
        tuple(kind for _, kind, _ in sorted(described)),
    )


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes' types and contents."""
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, start)
            start += 8
        end = at + length if length else len(content)
        yield kind, content[start:end]
        at = max(end, start)
