"""Containers of sounds and clips, opened by FFmpeg, from one file and no other."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from extractors.base import MediaError

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

StreamT = TypeVar("StreamT", bound="AudioStream | VideoStream")

_CLIP_FORMATS = (
    *("mov", "matroska", "avi", "asf", "asf_o", "flv", "live_flv", "mpeg", "mpegts", "mpegvideo"),
    *("ogg", "gif", "rm", "mxf", "gxf", "nut", "nuv", "nsv", "ivf", "dv", "swf", "wtv", "mjpeg"),
    *("h261", "h263", "h264", "hevc", "vvc", "vc1", "av1", "obu", "m4v", "yuv4mpegpipe"),
    *("flic", "roq", "smk", "bink"),
)
_SOUND_FORMATS = (
    *("wav", "w64", "aiff", "au", "caf", "flac", "mp3", "aac", "ac3", "eac3", "dts", "dtshd"),
    *("truehd", "mlp", "amr", "ape", "wv", "tta", "tak", "mpc", "mpc8", "shn", "oma", "dsf"),
    *("iff", "voc", "xwma", "qcp", "sox"),
)
FORMATS = (*_CLIP_FORMATS, *_SOUND_FORMATS)
"""FFmpeg's names of the formats that are read.

Playlists (`hls`, `concat`, `sdp`) are not among them: FFmpeg would open what they name, on this
machine or another. Nor are pictures and texts, of which it would make clips.
"""

_BUFFER_BYTES = 1 << 18


class Source(Protocol):
    """What FFmpeg reads from."""

    def read(self, num_bytes: int, /) -> bytes:
        """Return up to this many bytes, none at the end."""


@contextmanager
def open_container(path: Path, kind: str) -> Iterator["InputContainer"]:
    """Open a sound or a clip; what FFmpeg cannot read within the context is a `MediaError`.

    Args:
        path: The file.
        kind: What it should be, for the message.

    Raises:
        MediaError: If it is of none of the `FORMATS`, or damaged.
    """
    with path.open("rb") as file, open_stream(Nameless(file), kind) as container:
        yield container


@contextmanager
def open_stream(source: "Source", kind: str) -> Iterator["InputContainer"]:
    """Open a sound or a clip that is a part of a file; see `open_container`.

    Args:
        source: Its bytes. Without a method `seek`, they are read once, from first to last.
        kind: What it should be, for the message.
    """
    import av

    try:
        with _open(source, kind) as container:
            yield container
    except av.FFmpegError as error:
        raise MediaError(f"not a {kind} that can be decoded: {error.strerror}") from None


def has_known_codec(stream: "Stream") -> bool:
    """Whether a stream can be decoded at all; of others, not even rate or size can be asked."""
    codec: object = stream.codec_context
    return codec is not None


def read_packets(container: "InputContainer", stream: StreamT) -> Iterator["Packet[StreamT]"]:
    """Yield the packets of a stream, and an empty one at the end.

    PyAV stumbles behind the last where a damaged file seemed to begin further streams on the way.
    MPEG-TS asks to be read again where it finds nothing but padding.
    """
    import av

    packets: Iterator[Packet[StreamT]] = container.demux(stream)  # type: ignore[assignment]
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        except av.BlockingIOError:
            packets = container.demux(stream)  # type: ignore[assignment]
            continue
        yield packet


def _open(source: "Source", kind: str) -> "InputContainer":
    import av

    options = {"format_whitelist": ",".join(FORMATS)}
    try:
        return av.open(
            source,
            "r",
            buffer_size=_BUFFER_BYTES,
            options=options,
            metadata_errors="replace",  # titles and the like may be in any encoding
        )
    except av.ArgumentError:
        raise MediaError(f"not a {kind} of a known format") from None


class Nameless:
    """A file whose name FFmpeg does not see, lest it go by the extension.

    Args:
        file: The file.
        start: Where what FFmpeg sees begins, as behind a tag.
    """

    def __init__(self, file: BinaryIO | RawIOBase, start: int = 0) -> None:
        self._file = file
        self._start = start
        file.seek(start)

    def tell(self) -> int:
        """Return the place, counted from the start."""
        return self._file.tell() - self._start

    def read(self, num_bytes: int, /) -> bytes:
        """Return up to this many bytes, none at the end."""
        return self._file.read(num_bytes) or b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek; where no file reaches, as damaged ones ask for, is -1: FFmpeg's sign of failure."""
        try:
            start = self._start if whence == os.SEEK_SET else 0
            return self._file.seek(start + offset, whence) - self._start
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -1
