"""Sizes that WAV, RF64, AIFF, CAF and AU files state of their samples, corrected where they lie.

Writers that were stopped, or that write into a pipe, leave a size of 0, -1 or too little; beyond
4 GiB, sizes of 32 bits wrap. Decoders stop at such a size.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, SEEK_SET, FileIO, RawIOBase
from pathlib import Path

_MAX_CHUNKS = 1000
_LOOKED_AT_BYTES = 1 << 20
_CHUNK_ID = re.compile(rb"[ -~]{4}")
_TAGS = (b"LIST", b"ID3", b"id3 ", b"TAG", b"APETAGEX")
_LITTLE_BYTES, _LITTLE_SHARE = 4096, 16  # junk that ends a file, rather than samples
_DS64_SIZE_OFFSET = 28  # where RF64 has the size of 64 bits for which 32 do not suffice


@dataclass(frozen=True)
class _Layout:
    """How chunks follow each other: a name of four bytes, a size, the content.

    Attributes:
        start: Offset of the first.
        size_form: `struct` form of a size.
        samples: Name of the chunk of the samples.
        padded: Whether a chunk of odd size is followed by one more byte.
    """

    start: int
    size_form: str
    samples: bytes
    padded: bool


_RIFF = _Layout(12, "<I", b"data", padded=True)
_LAYOUTS = {
    b"RIFF": _RIFF,
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"FORM": _Layout(12, ">I", b"SSND", padded=True),
    b"caff": _Layout(8, ">Q", b"data", padded=False),
}


@dataclass(frozen=True)
class _Size:
    """The size of a file's samples, as stated.

    Attributes:
        offset: Where it stands.
        form: Its `struct` form.
        start: Offset of the samples.
        num_bytes: What it says.
        layout: Of the chunks behind the samples; None where none may follow.
    """

    offset: int
    form: str
    start: int
    num_bytes: int
    layout: _Layout | None


class PatchedFile(RawIOBase):
    """A file that reads as if its samples reached to its end."""

    def __init__(self, file: FileIO, size: _Size, num_bytes: int) -> None:
        self._file = file
        self._offset = size.offset
        largest = (1 << 8 * struct.calcsize(size.form)) - 1
        self._patch = struct.pack(size.form, min(num_bytes - size.start, largest))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Seek as in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from the file, and lay the true size over what was read."""
        place = self.tell()
        content = bytearray(self._file.read(len(buffer)))
        for index, byte in enumerate(self._patch, start=self._offset - place):
            if 0 <= index < len(content):
                content[index] = byte
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def open_with_true_size(path: Path) -> Iterator[FileIO | PatchedFile]:
    """Open a file, such that the size it states of its samples is not one that lies.

    The samples reach to the end of the file where the size reaches beyond it, and where what
    follows is neither a chunk, a tag nor padding.
    """
    with path.open("rb", buffering=0) as file:
        size = _find_size(file)
        num_bytes = file.seek(0, SEEK_END)
        lies = size is not None and _lies(file, size, num_bytes)
        file.seek(0)
        yield PatchedFile(file, size, num_bytes) if lies and size is not None else file


def _find_size(file: FileIO) -> _Size | None:
    """Return the size that a file states of its samples, None if it is of no format known here."""
    magic = file.read(4)
    if magic == b".snd":
        start, num_bytes = struct.unpack(">II", file.read(8).ljust(8))
        return _Size(8, ">I", start, num_bytes, None)
    layout = _LAYOUTS.get(magic)
    size = None if layout is None else _find_chunk(file, layout)
    if size is None or magic not in (b"RF64", b"BW64") or size.num_bytes != 0xFFFFFFFF:
        return size
    file.seek(_DS64_SIZE_OFFSET)
    (num_bytes,) = struct.unpack("<Q", file.read(8).ljust(8))
    return _Size(_DS64_SIZE_OFFSET, "<Q", size.start, num_bytes, layout)


def _find_chunk(file: FileIO, layout: _Layout) -> _Size | None:
    """Return what the chunk of the samples says of its size, None if there is none."""
    size_bytes = struct.calcsize(layout.size_form)
    place = layout.start
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        header = file.read(4 + size_bytes)
        if len(header) < 4 + size_bytes:
            return None
        (num_bytes,) = struct.unpack(layout.size_form, header[4:])
        place += len(header)
        if header[:4] == layout.samples:
            return _Size(place - size_bytes, layout.size_form, place, num_bytes, layout)
        place += num_bytes + (num_bytes & layout.padded)
        if place >= 1 << 63:
            return None
    return None


def _lies(file: FileIO, size: _Size, file_bytes: int) -> bool:
    """Whether the samples end elsewhere than their size says."""
    end = size.start + size.num_bytes
    if size.layout is not None:
        end += size.num_bytes & size.layout.padded
    if end >= file_bytes:
        return end > file_bytes + 1
    file.seek(end)
    rest = file.read(_LOOKED_AT_BYTES)
    is_little = len(rest) < _LITTLE_BYTES and len(rest) * _LITTLE_SHARE < size.num_bytes
    if is_little or rest.startswith(_TAGS) or not any(rest):
        return False
    return size.layout is None or not _is_chunk(rest, size.layout, file_bytes - end)


def _is_chunk(rest: bytes, layout: _Layout, rest_bytes: int) -> bool:
    """Whether a chunk begins here, and ends within the file."""
    size_bytes = struct.calcsize(layout.size_form)
    if len(rest) < 4 + size_bytes:
        return True  # too little to matter
    (num_bytes,) = struct.unpack_from(layout.size_form, rest, 4)
    fits = 4 + size_bytes + num_bytes <= rest_bytes
    return fits and _CHUNK_ID.match(rest) is not None
