"""The index of a clip: when its frames are shown, from its packets alone, none of them decoded."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


class KeyPacket(NamedTuple):
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
        times: When the frames are shown. Ascending; empty where packets do not tell for sure.
            Shape: (num_packets,) or (0,).
        keys: The fields of key packets, ascending by time. Shape: (num_keys, 3).
        num_units: From the first time to the end of the last, in units of the stream.
    """

    num_packets: int
    times: NDArray[np.int64]
    keys: NDArray[np.int64]
    num_units: int

    def rank_of(self, time: int) -> int:
        """Return the number of the first frame that is not shown before a time."""
        return int(np.searchsorted(self.times, time))

    def key_before(self, rank: int) -> KeyPacket:
        """Return the last key packet that is shown no later than a frame."""
        num_before = np.searchsorted(self.keys[:, 0], self.times[rank], side="right")
        return KeyPacket(*self.keys[num_before - 1].tolist())


def read_index(container: "InputContainer", stream: "VideoStream") -> ClipIndex:
    """Read all packets of a stream.

    Raises:
        MediaError: If the file ends before a frame that it lists.
    """
    scan = _Scan()
    scan.run(read_packets(container, stream))
    format_name = container.format.name.partition(",")[0]
    if format_name == "mov":
        _refuse_cut(stream, container.size)
    times = np.sort(np.array(scan.times, np.int64))
    keys = np.array(scan.keys, np.int64).reshape(-1, 3)
    num_units = max(scan.end - int(times[0]), 0) if times.size else 0
    if not (scan.is_complete and _tells_times(format_name, stream) and _can_seek(times, keys)):
        times = times[:0]
    return ClipIndex(scan.num_packets, times, keys[np.argsort(keys[:, 0])], num_units)


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


def _can_seek(times: NDArray[np.int64], keys: NDArray[np.int64]) -> bool:
    """Whether no two frames share a time, and none is shown before the first that is decodable."""
    return bool(times.size and (np.diff(times) > 0).all() and times[0] >= keys[0, 0])


class _Scan:
    """What one pass over the packets found; a few bytes a packet, since a clip may last for hours.

    Attributes:
        num_packets: How many hold frames to show: edit lists discard others.
        times: When their frames are shown, where they say so.
        keys: The fields of key packets, one after the other, in the order of the file.
        is_complete: Whether all packets are sound and have times, and the first is a key packet.
        end: When the last frame ends.
    """

    def __init__(self) -> None:
        self.num_packets = 0
        self.times = array("q")
        self.keys = array("q")
        self.is_complete = True
        self.end = 0

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
        time = packet.pts
        if packet.is_keyframe and time is not None:
            decode_time = time if packet.dts is None else packet.dts
            self.keys.extend((time, decode_time, -1 if packet.pos is None else packet.pos))
        self.is_complete &= bool(self.keys) and not packet.is_corrupt
        if packet.is_discard:
            return
        self.num_packets += 1
        if time is None:
            self.is_complete = False
            return
        self.times.append(time)
        end = time + (packet.duration or 0)
        self.end = end if len(self.times) == 1 else max(self.end, end)
