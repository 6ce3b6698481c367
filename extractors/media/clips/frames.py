"""Frames of a clip by their number: by seeking where that can be verified, else by decoding all."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.base import MediaError
from extractors.media.clips.index import ClipIndex, KeyPacket
from extractors.media.clips.upright import OrientedFrame, oriented
from extractors.media.container import has_known_codec, open_container, read_packets

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    Packets = Iterable[Packet[VideoStream]]
    Ranked = Iterator[tuple[int, OrientedFrame]]

MAX_FRAME_PIXELS = 8192 * 4320
"""8K: 16 such frames are 1.6 GiB of RGB. A file of some kB may claim frames of any size."""


def moving_pictures(container: "InputContainer") -> "VideoStream":
    """Return the stream to read; the cover of a piece of music is none.

    Raises:
        MediaError: If there is none, of an unknown codec, or of frames that are too large.
    """
    from av.stream import Disposition
    from av.video.stream import VideoStream

    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise MediaError("holds no moving pictures")
    if not has_known_codec(stream):
        raise MediaError("holds moving pictures of an unknown codec")
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        size = f"{stream.width} x {stream.height}"
        raise MediaError(f"frames of {size} are larger than {MAX_FRAME_PIXELS} pixels")
    stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}  # of later frames, too
    stream.codec_context.thread_count = 1  # the processes that decode share the cores
    return stream


def frames_by_seeking(path: Path, index: ClipIndex, ranks: Sequence[int]) -> "Ranked":
    """Decode from the key packet before each wanted frame.

    Every frame on the way must be shown at the very time that the index expects next.

    Args:
        path: The clip.
        index: Its index, with times.
        ranks: Numbers of the wanted frames, ascending, each once.

    Yields:
        The number of each wanted frame, and the frame.

    Raises:
        MediaError: If a frame is not provably the one wanted.
    """
    with open_container(path, "clip") as container:
        stream = moving_pictures(container)
        frames: Ranked | None = None
        next_rank = 0
        for wanted in ranks:
            key = index.key_before(wanted)
            if frames is None or index.rank_of(key.time) > next_rank:
                frames = _frames_from(key, container, stream, index)
            for rank, frame in frames:
                if rank == wanted:
                    yield rank, frame
                    break
            else:
                raise MediaError(f"frame {wanted} is not where it should be")
            next_rank = wanted + 1


def _frames_from(
    key: KeyPacket, container: "InputContainer", stream: "VideoStream", index: ClipIndex
) -> "Ranked":
    """Yield the frames from a key packet on, verified by their times."""
    packets = _packets_from(key, container, stream)
    rank = index.rank_of(key.time)
    shown: OrientedFrame | None = None
    for frame in (frame for packet in packets for frame in packet.decode()):
        if shown is None and frame.pts is not None and frame.pts < key.time:
            continue  # shown before the key packet's, and not decodable without what precedes it
        is_expected = rank < len(index.times) and frame.pts == index.times[rank]
        if not is_expected or frame.is_corrupt or (shown is None and not _begins(frame, key)):
            raise MediaError(f"frame {rank} is not where it should be")
        shown = oriented(frame, shown)
        yield rank, shown
        rank += 1


def _begins(frame: "VideoFrame", key: KeyPacket) -> bool:
    """Whether the decoder agrees that it can begin with a key packet's frame.

    Where an edit list hides that frame, the first one shown is another.
    """
    return frame.key_frame or frame.pts != key.time


def _packets_from(key: KeyPacket, container: "InputContainer", stream: "VideoStream") -> "Packets":
    """Seek to a key packet and yield it and all later ones.

    Formats differ in whether they seek by the time of showing or of decoding.
    """
    for time in (key.time, key.decode_time):
        container.seek(time, stream=stream)
        packets = read_packets(container, stream)
        for packet in packets:
            if packet.pos == key.place and packet.pts == key.time:
                yield packet
                yield from packets
                return
            if packet.pos is None or packet.pos > key.place:
                break
    raise MediaError("a key packet is not where it should be")


def all_frames(path: Path) -> Iterator[OrientedFrame | None]:
    """Decode a clip from its beginning to its end.

    A packet that cannot be decoded counts as a frame, so that those behind it keep their numbers;
    not so before the first frame, where players show nothing.

    Yields:
        Each frame; None for a damaged one, and for those up to the next key frame, which build on
        it.

    Raises:
        MediaError: If it is no clip.
    """
    with open_container(path, "clip") as container:
        shown: OrientedFrame | None = None
        is_whole = True
        for frame in _frames_and_gaps(container, moving_pictures(container)):
            if frame is None:
                is_whole = False
            else:
                shown = oriented(frame, shown)
                is_whole = not frame.is_corrupt and (is_whole or frame.key_frame)
            if shown is not None:
                yield shown if is_whole else None


def _frames_and_gaps(
    container: "InputContainer", stream: "VideoStream"
) -> Iterator["VideoFrame | None"]:
    """Yield frames, and None for each packet of which the decoder makes none but an error."""
    import av

    try:
        for packet in read_packets(container, stream):
            yield from _decode(stream, packet)
    except av.FFmpegError:  # a cut file ends here; what the decoder holds back is still shown
        yield from _decode(stream, None)


def _decode(
    stream: "VideoStream", packet: "Packet[VideoStream] | None"
) -> Sequence["VideoFrame | None"]:
    import av

    try:
        return stream.decode(packet)
    except av.FFmpegError:
        return [None]
