"""The index of a clip: when its frames are shown, from its packets alone, none of them decoded."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from extractors.base import MediaError
from extractors.media.container import read_packets

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

_TIMED_FORMATS = ("mov", "matroska", "flv", "nut", "mpegts")
"""Formats that store when each frame is shown. Of others, FFmpeg guesses it."""

_ONE_FRAME_A_PACKET = ("h264", "hevc", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "flv1")
"""Codecs whose every packet becomes one frame. VP8, for one, has packets that are never shown."""


@dataclass(frozen=True)
class KeyPacket:
    """A packet from which on a clip can be decoded.

    Attributes:
        time: When its frame is shown, in units of the stream.
        decode_time: When it is decoded, in the same units.
        place: Its first byte in the file.
    """

    time: int
    decode_time: int
    place: int


@dataclass(frozen=True)
class ClipIndex:
    """What a clip's packets say.

    Attributes:
        num_packets: How many hold frames to show. Shown frames may be more or fewer.
        times: When the frames are shown, ascending. Empty where the packets do not tell for sure.
        keys: Where decoding can begin, by time. Empty where `times` is.
        num_units: From the first time to the end of the last, in units of the stream.
    """

    num_packets: int
    times: Sequence[int]
    keys: Sequence[KeyPacket]
    num_units: int

    def rank_of(self, time: int) -> int:
        """Return the index of the first frame that is not shown before a time."""
        return bisect_left(self.times, time)

    def key_before(self, rank: int) -> KeyPacket:
        """Return the last key packet that is shown no later than a frame."""
        place = bisect_right(self.keys, self.times[rank], key=lambda key: key.time)
        return self.keys[place - 1]


def read_index(container: "InputContainer", stream: "VideoStream") -> ClipIndex:
    """Read all packets of a stream.

    Raises:
        MediaError: If the file ends before a packet that it lists.
    """
    scan = _Scan()
    scan.run(read_packets(container, stream))
    format_name = container.format.name.partition(",")[0]
    if format_name == "mov":
        _refuse_cut(stream, container.size)
    times = array("q", sorted(scan.times))
    num_units = scan.end - scan.start if times else 0
    if scan.is_complete and _tells_times(format_name, stream) and _can_seek(times, scan.keys):
        keys = sorted(scan.keys, key=lambda key: key.time)
        return ClipIndex(scan.num_packets, times, keys, num_units)
    return ClipIndex(scan.num_packets, (), (), num_units)


def _refuse_cut(stream: "VideoStream", num_bytes: int) -> None:
    """Raise a `MediaError` if a file is too short to hold what it lists."""
    listed = stream.index_entries
    num_absent = sum(entry.pos + entry.size > num_bytes for entry in listed)
    if num_absent:
        raise MediaError(f"damaged: ends before {num_absent} of {len(listed)} frames")


def _tells_times(format_name: str, stream: "VideoStream") -> bool:
    """Whether the times of packets are those of frames, as where every frame stands for itself."""
    is_timed = format_name in _TIMED_FORMATS
    return stream.codec.intra_only or (
        is_timed and stream.codec.canonical_name in _ONE_FRAME_A_PACKET
    )


def _can_seek(times: Sequence[int], keys: Sequence[KeyPacket]) -> bool:
    """Whether no two frames share a time, and none is shown before the first that is decodable."""
    is_unique = all(first < second for first, second in pairwise(times))
    return bool(times) and is_unique and times[0] >= keys[0].time


class _Scan:
    """What one pass over the packets found.

    Attributes:
        num_packets: How many hold frames to show: edit lists discard others.
        times: When their frames are shown; -1 stands for none.
        keys: Key packets, in the order of the file.
        is_complete: Whether all packets are sound and have times, and the first is a key packet.
        start: The earliest time.
        end: The end of the latest time.
    """

    def __init__(self) -> None:
        self.num_packets = 0
        self.times = array("q")
        self.keys: list[KeyPacket] = []
        self.is_complete = True
        self.start, self.end = 1 << 63, -(1 << 63)

    def run(self, packets: Iterable["Packet[VideoStream]"]) -> None:
        """Read packets until they end; where the file is damaged is an end, too."""
        import av

        try:
            for packet in packets:
                if packet.size:
                    self._add(packet)
        except av.FFmpegError:
            self.is_complete = False
            if not self.num_packets:
                raise

    def _add(self, packet: "Packet[VideoStream]") -> None:
        if packet.is_keyframe and packet.pts is not None:
            dts, pos = packet.dts, packet.pos
            decode_time = packet.pts if dts is None else dts
            self.keys.append(KeyPacket(packet.pts, decode_time, -1 if pos is None else pos))
        self.is_complete &= bool(self.keys) and not packet.is_corrupt
        if packet.is_discard:
            return
        self.num_packets += 1
        if packet.pts is None:
            self.is_complete = False
            return
        self.times.append(packet.pts)
        self.start = min(self.start, packet.pts)
        self.end = max(self.end, packet.pts + (packet.duration or 0))
