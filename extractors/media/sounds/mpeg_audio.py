"""MPEG audio (MP1, MP2, MP3), whose files hold tags and junk beside frames."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from extractors.base import MediaError

if TYPE_CHECKING:
    from io import FileIO

    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream

    from extractors.media.sounds.chunk_sizes import PatchedFile

MPEG_CODECS = ("mp1", "mp2", "mp3", "mp1float", "mp2float", "mp3float")
"""FFmpeg's names of the decoders."""

_ID3V2_HEADER_BYTES = 10  # and of a footer
_ID3V2_FLAGS_OFFSET, _ID3V2_FOOTER_FLAG = 5, 0x10
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")  # behind a sound, or between two
_FIRST_FRAME_BYTES = 4096
_NUM_FRAMES_OFFSETS = {b"Xing": 8, b"Info": 8, b"VBRI": 14}


def tag_bytes(file: "FileIO | PatchedFile") -> int:
    """Return the size of the ID3 tag that a file begins with, 0 without; go back to the start."""
    size = _id3v2_bytes(file.read(_ID3V2_HEADER_BYTES))
    file.seek(0)
    return size


def stated_frames(file: "FileIO | PatchedFile") -> int | None:
    """Return how many frames an MP3's first one says there are, None if it does not say."""
    file.seek(tag_bytes(file))
    first_frame = file.read(_FIRST_FRAME_BYTES)
    file.seek(0)
    for mark, offset in _NUM_FRAMES_OFFSETS.items():
        place = first_frame.find(mark)
        if place >= 0:
            return int.from_bytes(first_frame[place + offset : place + offset + 4], "big")
    return None


def is_free_format(file: "FileIO | PatchedFile") -> bool:
    """Whether an MP3 is of a bit rate that its frames do not name, which FFmpeg does not know."""
    file.seek(tag_bytes(file))
    header = file.read(3)
    file.seek(0)
    return len(header) == 3 and _is_sync(header) and header[2] >> 4 == 0


def decode_mpeg(
    packets: Iterable["Packet[AudioStream]"], num_stated_frames: int | None
) -> Iterator["AudioFrame"]:
    """Decode MPEG audio.

    FFmpeg makes packets of tags as of frames; they are passed over, as are other bytes behind the
    last frame. Other bytes between frames are damage. So is an end within a frame, where a length
    is stated that is not reached; either alone is found in good files.

    Args:
        packets: All of a track.
        num_stated_frames: How many frames there are by the header, if it says so.

    Yields:
        Frames.

    Raises:
        InvalidDataError: If a frame cannot be decoded, or what is between frames is no tag.
        MediaError: If it is cut off.
    """
    import av

    junk, is_cut, num_samples, frame_samples = None, False, 0, 0
    frame_bytes: dict[bytes, int] = {}
    for packet in _without_tags(packets):
        try:
            frames = packet.decode()
        except av.InvalidDataError as error:
            if _is_sync(bytes(packet)):
                raise
            junk = error
            continue
        if frames and junk is not None:
            raise junk
        for frame in frames:
            num_samples, frame_samples = num_samples + frame.samples, frame.samples
            yield frame
        if packet.size:
            is_cut = _is_cut(packet, frame_bytes)
    num_stated_samples = (num_stated_frames or 0) * frame_samples
    if is_cut and num_samples < num_stated_samples:
        raise MediaError(f"damaged: ends after {num_samples} of {num_stated_samples} samples")


def _without_tags(packets: Iterable["Packet[AudioStream]"]) -> Iterator["Packet[AudioStream]"]:
    """Pass on the packets that are no tags, nor a part of one."""
    tag_end = 0
    for packet in packets:
        content = bytes(packet)
        if packet.pos is not None:
            tag_end = max(tag_end, packet.pos + _id3v2_bytes(content))
        is_in_tag = packet.pos is not None and packet.pos < tag_end
        if not content or not (is_in_tag or content.startswith(_TAGS)):
            yield packet


def _id3v2_bytes(content: bytes) -> int:
    """Return the size of the tag that begins here, 0 if none does."""
    header = content[:_ID3V2_HEADER_BYTES]
    if len(header) < _ID3V2_HEADER_BYTES or not header.startswith(b"ID3"):
        return 0
    size = 0
    for seven_bits in header[-4:]:
        size = size << 7 | seven_bits & 0x7F
    has_footer = bool(header[_ID3V2_FLAGS_OFFSET] & _ID3V2_FOOTER_FLAG)
    return _ID3V2_HEADER_BYTES * (1 + has_footer) + size


def _is_sync(content: bytes) -> bool:
    """Whether bytes begin with the eleven bits that each frame begins with."""
    return int.from_bytes(content[:2], "big") >> 5 == 0x7FF


def _is_cut(packet: "Packet[AudioStream]", frame_bytes: dict[bytes, int]) -> bool:
    """Whether a frame is shorter than an earlier one of equal bit rate, sampling rate and padding.

    Args:
        packet: Holds the frame.
        frame_bytes: The sizes so far, by the header that says these; updated.
    """
    header = bytes(packet)[:3]
    whole = frame_bytes[header] = max(packet.size, frame_bytes.get(header, 0))
    return packet.size < whole
