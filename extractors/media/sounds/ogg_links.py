"""Ogg files cut at the links of their chain, and checked page by page.

A chained Ogg file is several sounds, one behind the other, such as the songs of a radio stream.
Each link has headers of its own, where decoders take those of the first for all. And what is left
out of a page that fails its checksum, decoders do not tell. Format: RFC 3533.
"""

import struct
import zlib
from io import SEEK_CUR, BufferedReader, FileIO

from extractors.base import MediaError
from extractors.media.sounds.chunk_sizes import PatchedFile

_MAGIC = b"OggS"
_HEADER = struct.Struct("<4sBBQIIIB")  # magic, version, flags, granule, serial, number, crc, count
_BEGINS = 0x02  # the flag of the page that begins a stream
_CHECKSUM_OFFSET, _CHECKSUM_BYTES = 22, 4
_JUNK_BYTES = 1 << 16
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggLink:
    """One link of an Ogg file, to be read from first to last.

    Attributes:
        is_followed: Whether the link has been read to its end and another one follows.
    """

    def __init__(self, file: "BufferedReader[FileIO | PatchedFile]") -> None:
        """Begin a link at the file's place."""
        self.is_followed = False
        self._file = file
        self._unread = b""
        self._is_past_first_pages = False
        self._next_numbers: dict[int, int] = {}

    def read(self, num_bytes: int) -> bytes:
        """Return up to this many bytes; none at the end of the link.

        Raises:
            MediaError: If pages are lost or damaged.
        """
        if not self._unread and not self.is_followed:
            self._unread = self._read_page()
        part, self._unread = self._unread[:num_bytes], self._unread[num_bytes:]
        return part

    def skip(self) -> None:
        """Read to the end of the link."""
        while self.read(_JUNK_BYTES):
            pass

    def _read_page(self) -> bytes:
        """Return the next page, or what is between two; nothing at the end of the link."""
        header = self._file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            return self._read_junk(header)
        _, _, flags, granule, serial, number, checksum, count = _HEADER.unpack(header)
        if flags & _BEGINS and self._is_past_first_pages:
            self._file.seek(-len(header), SEEK_CUR)
            self.is_followed = True
            return b""
        self._is_past_first_pages = not flags & _BEGINS
        lengths = self._file.read(count)
        content = self._file.read(sum(lengths))
        page = header + lengths + content
        is_whole = len(lengths) == count and len(content) == sum(lengths)
        if is_whole and _checksum(page) != checksum:
            raise MediaError("damaged: an Ogg page fails its checksum")
        if number != self._next_numbers.get(serial, number):
            raise MediaError("damaged: Ogg pages are lost")
        if granule:  # headers have 0; behind them, what was recorded begins with any number
            self._next_numbers[serial] = (number + 1) & 0xFFFFFFFF
        return page

    def _read_junk(self, first: bytes) -> bytes:
        """Return what is no page, up to the next one."""
        junk = first + self._file.read(_JUNK_BYTES)
        end = junk.find(_MAGIC, 1)
        if end < 0:
            return junk
        self._file.seek(end - len(junk), SEEK_CUR)
        return junk[:end]


def _checksum(page: bytes) -> int:
    """Return Ogg's checksum: zlib's polynomial over bits in the other order, from 0."""
    end = _CHECKSUM_OFFSET + _CHECKSUM_BYTES
    unchecked = page[:_CHECKSUM_OFFSET] + bytes(_CHECKSUM_BYTES) + page[end:]
    reversed_code = zlib.crc32(unchecked.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_code:032b}"[::-1], 2)
