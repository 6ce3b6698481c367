"""Writes TIFFs of any layout: depth, planes, tiles, byte order, compression, alpha."""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SHORT, _LONG = 3, 4
_CODES = {_SHORT: "H", _LONG: "I"}
_DEFLATE, _FLOAT_PREDICTOR = 8, 3

Samples = NDArray[np.generic]


@dataclass(frozen=True)
class Layout:
    """How the samples are stored.

    Attributes:
        bits: Of a sample.
        photometric: 0 and 1 for gray (white or black is zero), 2 RGB, 5 CMYK.
        order: `<` or `>`.
        kind: 1 unsigned, 2 signed, 3 floats.
        planes: Whether each channel is stored by itself.
        tile: Pixels a side of a tile, 0 for strips of seven rows.
        deflate: Whether they are compressed.
        predictor: 1 none, 2 differences, 3 for floats.
        extra: Kinds of extra channels: 0 unknown, 1 premultiplied alpha, 2 alpha.
        tags: Further tags, of short integers.
    """

    bits: int = 8
    photometric: int = 1
    order: str = "<"
    kind: int = 1
    planes: bool = False
    tile: int = 0
    deflate: bool = False
    predictor: int = 1
    extra: Sequence[int] = ()
    tags: Mapping[int, Sequence[int]] = field(default_factory=dict)


def tiff(samples: Samples, layout: Layout) -> bytes:
    """Return a TIFF. Shape of the samples: (height, width, channels)."""
    height, width, num_channels = samples.shape
    parts = [_encode(part, layout) for part in _parts(samples, layout)]
    starts = (8 + np.cumsum([0, *map(len, parts)])).tolist()
    starts_tag, sizes_tag = (324, 325) if layout.tile else (273, 279)
    sides = {322: [layout.tile], 323: [layout.tile]} if layout.tile else {278: [7]}
    tags = {
        256: [width],
        257: [height],
        258: [layout.bits] * num_channels,
        259: [_DEFLATE if layout.deflate else 1],
        262: [layout.photometric],
        277: [num_channels],
        284: [2 if layout.planes else 1],
        317: [layout.predictor],
        339: [layout.kind] * num_channels,
        starts_tag: starts[:-1],
        sizes_tag: [len(part) for part in parts],
        **sides,
        **({338: layout.extra} if layout.extra else {}),
        **layout.tags,
    }
    return _assemble(b"".join(parts), tags, {starts_tag, sizes_tag}, layout.order)


def _parts(samples: Samples, layout: Layout) -> Iterator[Samples]:
    """Yield what is stored as one strip or tile."""
    channels = np.split(samples, samples.shape[2], axis=2) if layout.planes else [samples]
    for plane in channels:
        height, width = plane.shape[:2]
        rows, columns = (layout.tile, layout.tile) if layout.tile else (7, width)
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                part = plane[top : top + rows, left : left + columns]
                missing = [(0, layout.tile and rows - part.shape[0]), (0, columns - part.shape[1])]
                yield np.pad(part, [*missing, (0, 0)])


def _encode(part: Samples, layout: Layout) -> bytes:
    if layout.predictor == _FLOAT_PREDICTOR:
        data = _float_differences(part, layout.bits // 8)
    else:
        if layout.predictor > 1:
            part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
        data = b"".join(_pack(row.ravel(), layout) for row in part)
    return zlib.compress(data) if layout.deflate else data


def _pack(row: Samples, layout: Layout) -> bytes:
    """Pack samples of other than whole bytes, the highest bit first."""
    if layout.bits % 8 == 0:
        return row.astype(row.dtype.newbyteorder(layout.order)).tobytes()
    places = np.arange(layout.bits - 1, -1, -1)
    return np.packbits(
        (row[:, np.newaxis].astype(np.int64) >> places & 1).astype(np.uint8)
    ).tobytes()


def _float_differences(part: Samples, num_bytes: int) -> bytes:
    """Differences of the bytes, the highest of all samples first (Adobe's Technical Note 3)."""
    height, width, num_channels = part.shape
    high_first = np.frombuffer(part.astype(part.dtype.newbyteorder(">")).tobytes(), np.uint8)
    rows = high_first.reshape(height, width * num_channels, num_bytes).transpose(0, 2, 1)
    flat = rows.reshape(height, -1)
    differences = flat.copy()
    differences[:, num_channels:] -= flat[:, :-num_channels]
    return differences.tobytes()


def _assemble(data: bytes, tags: Mapping[int, Sequence[int]], longs: set[int], order: str) -> bytes:
    """Put header, data, directory, and the values that do not fit into it, behind one another."""
    data += b"\0" * (len(data) % 2)
    directory, values = struct.pack(order + "H", len(tags)), b""
    values_start = 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        kind = _LONG if tag in longs else _SHORT
        packed = struct.pack(f"{order}{len(tags[tag])}{_CODES[kind]}", *tags[tag])
        if len(packed) > 4:
            place = struct.pack(order + "I", values_start + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, kind, len(tags[tag])) + place
    mark = b"II" if order == "<" else b"MM"
    header = mark + struct.pack(order + "HI", 42, 8 + len(data))
    return header + data + directory + bytes(4) + values
