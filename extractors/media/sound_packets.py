"""Packets of a sound track: which hold sound, and which errors are damage."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from extractors.base import MediaError
from extractors.media.container import has_known_codec
from extractors.media.mpeg_audio import MPEG_CODECS, decode_mpeg

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_CHECKED_CODECS = ("flac", "tta", "wavpack", "ape", "tak")
"""Lossless codecs, whose checksums FFmpeg passes over unless asked; lossy ones get theirs wrong."""


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
    if codec.name in MPEG_CODECS:
        return decode_mpeg(container.demux(stream), num_mpeg_frames)
    frames = container.decode(stream)
    return _without_gaps(frames) if container.format.name == "flac" else frames


def _sound_track(container: "InputContainer") -> "AudioStream":
    """Return the first sound track, of a known codec."""
    if not container.streams.audio:
        raise MediaError("holds no sound track")
    stream = container.streams.audio[0]
    if not has_known_codec(stream):
        raise MediaError("holds a sound track of an unknown codec")
    return stream


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
