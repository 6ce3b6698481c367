"""Packets of a sound track: which hold sound, and which errors are damage."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from extractors.base import MediaError
from extractors.media.container import has_known_codec, read_packets
from extractors.media.sounds.mpeg_audio import MPEG_CODECS, decode_mpeg

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    Packets = Iterable[Packet[AudioStream]]

_CHECKED_CODECS = ("flac", "tta", "wavpack", "ape", "tak")
"""Lossless codecs, whose checksums FFmpeg skips by default; lossy codecs often carry wrong ones."""

_AC3_FORMATS = ("ac3", "eac3")
_AC3_SYNC = b"\x0b\x77"  # what each of their frames begins with


def decode_packets(
    container: "InputContainer", num_mpeg_frames: int | None
) -> Iterator["AudioFrame"]:
    """Decode the first sound track to its end.

    Args:
        container: Of any format.
        num_mpeg_frames: How many frames there are if it is an MP3, by its header.

    Returns:
        Its frames, whose rate, channels and sample format may change.

    Raises:
        MediaError: If there is none, its codec is unknown, or a part in the middle is lost.
        FFmpegError: If a packet cannot be decoded.
    """
    stream = _sound_track(container)
    codec = stream.codec_context
    if codec.name in _CHECKED_CODECS:
        codec.options = {"err_detect": "crccheck+explode"}
    packets = read_packets(container, stream)
    if codec.name in MPEG_CODECS:
        return decode_mpeg(packets, num_mpeg_frames)
    if container.format.name in _AC3_FORMATS or codec.name == "gsm_ms":
        return _decode_amid_junk(packets)
    frames = (frame for packet in packets for frame in packet.decode())
    if container.format.name == "wv":
        return _up_to_end(frames, stream.duration)
    return _without_gaps(frames) if container.format.name == "flac" else frames


def _sound_track(container: "InputContainer") -> "AudioStream":
    """Return the first sound track, of a known codec."""
    if not container.streams.audio:
        raise MediaError("holds no sound track")
    stream = container.streams.audio[0]
    if not has_known_codec(stream):
        raise MediaError("holds a sound track of an unknown codec")
    return stream


def _decode_amid_junk(packets: "Packets") -> Iterator["AudioFrame"]:
    """Decode AC3 or GSM; before the first frame and behind the last one may be tags or junk.

    What is behind AC3 becomes part of the last frame's packet, which is lost with it.
    """
    import av

    junk, has_begun = None, False
    for packet in packets:
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if not has_begun and bytes(packet).startswith(_AC3_SYNC):
                raise
            junk = error
            continue
        if frames and junk is not None and has_begun:
            raise junk
        if frames:
            junk, has_begun = None, True
        yield from frames
    if junk is not None and not has_begun:
        raise junk


def _up_to_end(
    frames: Iterable["AudioFrame"], num_stated_samples: int | None
) -> Iterator["AudioFrame"]:
    """Pass on the frames of WavPack; behind the samples that it states, tags or junk may follow."""
    import av

    num_samples = 0
    try:
        for frame in frames:
            num_samples += frame.samples
            yield frame
    except av.InvalidDataError:
        if num_stated_samples is None or num_samples < num_stated_samples:
            raise


def _without_gaps(frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
    """Pass on frames whose places count samples; between them, some may be lost.

    Of damaged ones, FFmpeg's parser of FLAC files says nothing.
    """
    end: int | None = None
    for frame in frames:
        start = end if frame.pts is None else frame.pts
        if start is not None and end is not None and start > end:
            raise MediaError(f"damaged: {start - end} samples are lost after {end}")
        end = None if start is None else start + frame.samples
        yield frame
