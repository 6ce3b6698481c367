"""Small copies of media, for pages to show: pictures, the beginning of sounds, frames of clips.

The same file gives the same bytes. All formats are such that every browser plays them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from extractors.base import MediaError, RawContent
from extractors.engine.decoding import DecodingPool
from extractors.loading import Failure
from extractors.media.clip import Frames, read_frames
from extractors.media.picture import central_box, read_picture
from extractors.media.sound import read_sound
from extractors.media.sounds.decoding import Samples
from storage.datasets.items import ItemKind
from storage.files.file_access import ListedFile

if TYPE_CHECKING:
    from PIL import Image

Kind = Literal["image", "audio", "video"]

SIDE = 128
"""Pixels of a copy's longer side."""

SOUND_SECONDS = 3.0
NUM_FRAMES = 12
FRAMES_PER_SECOND = 4

_SOUND_RATE_HZ = 22_050
_SOUND_BITS_PER_SECOND = 32_000
_WEBP_QUALITY = 75
_CLIP_OPTIONS = {"crf": "30", "threads": "1", "x264-params": "mbtree=0"}
"""With its macroblock tree, x264 gave other bytes for the same frames once in some ten clips."""

_BITEXACT = {"fflags": "+bitexact"}
_MAX_INT16 = 32767


@dataclass(frozen=True)
class SmallCopy:
    """An encoded copy.

    Attributes:
        mime: Its type, as `image/webp`.
        content: Its bytes.
    """

    mime: str
    content: bytes


def copy_picture(path: Path) -> SmallCopy:
    """Scale a picture down until it fits a square of `SIDE` pixels; WebP.

    Raises:
        MediaError: If it cannot be decoded.
    """
    picture = read_picture(path, least_side=SIDE)
    return _encode_picture(picture.crop(central_box(*picture.size)))


def copy_sound(path: Path) -> SmallCopy:
    """Encode the first `SOUND_SECONDS` of a sound, mono; MP3.

    Raises:
        MediaError: If it cannot be decoded, or this build of FFmpeg does not encode MP3.
    """
    samples = read_sound(path, _SOUND_RATE_HZ, SOUND_SECONDS)
    return SmallCopy("audio/mpeg", _encode_sound(samples))


def copy_clip(path: Path) -> tuple[SmallCopy, SmallCopy]:
    """Encode `NUM_FRAMES` frames, spread over the whole of a clip, without sound; H.264.

    Returns:
        The clip, and its middle frame as a picture.

    Raises:
        MediaError: If it cannot be decoded, or this build of FFmpeg does not encode H.264.
    """
    from PIL import Image

    frames = read_frames(path, NUM_FRAMES)
    middle = _encode_picture(Image.fromarray(frames[NUM_FRAMES // 2]))
    return SmallCopy("video/mp4", _encode_clip(frames)), middle


class Copier:
    """Copies media of one kind, in a process that may hang or crash without harm; a context.

    Args:
        kind: What the files hold.
        timeout_seconds: Time limit for one file.
    """

    def __init__(self, kind: Kind, timeout_seconds: float) -> None:
        self._pool = DecodingPool(_CopyLoader(kind), 1, timeout_seconds)

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.__exit__(error_type, error, trace)

    def copy(self, file: ListedFile) -> Sequence[SmallCopy] | Failure:
        """Return the copies of a file, or why there are none.

        Raises:
            WorkerStartError: If the process cannot start.
        """
        ((_, found),) = self._pool.load([(file, file)])
        if isinstance(found, Failure):
            return found
        copies: Sequence[SmallCopy] = found  # type: ignore[assignment]  # as `load` returned it
        return (
            copies if file.is_unchanged() else Failure("changed while it was read", lasting=False)
        )


@dataclass(frozen=True)
class _CopyLoader:
    """Makes the copies, in the other process."""

    kind: Kind
    item_kind: ItemKind = "file"

    def load(self, content: RawContent) -> Sequence[SmallCopy]:
        """Copy a file."""
        copiers: Mapping[Kind, Callable[[Path], Sequence[SmallCopy]]] = {
            "image": lambda path: [copy_picture(path)],
            "audio": lambda path: [copy_sound(path)],
            "video": copy_clip,
        }
        return copiers[self.kind](Path(str(content)))


def _encode_picture(picture: "Image.Image") -> SmallCopy:
    picture.thumbnail((SIDE, SIDE))
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=6)
    return SmallCopy("image/webp", buffer.getvalue())


def _encode_sound(samples: Samples) -> bytes:
    import av

    clipped = np.rint(samples.clip(-1, 1) * _MAX_INT16).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(clipped[np.newaxis], format="s16p", layout="mono")
    frame.sample_rate = _SOUND_RATE_HZ
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp3", options=_BITEXACT) as container:
        stream: Any = _add_stream(container, "libmp3lame", _SOUND_RATE_HZ, layout="mono")
        stream.bit_rate = _SOUND_BITS_PER_SECOND
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _encode_clip(frames: Frames) -> bytes:
    import av

    height, width = (_even(side, max(frames.shape[1:3])) for side in frames.shape[1:3])
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4", options=_BITEXACT) as container:
        stream: Any = _add_stream(container, "libx264", FRAMES_PER_SECOND, options=_CLIP_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in frames:
            whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = whole.reformat(width, height, "yuv420p", interpolation="AREA")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _even(side: int, longer: int) -> int:
    """Scale a side as the longer one is scaled; H.264 takes even numbers only."""
    return max(2, round(side * min(1.0, SIDE / longer) / 2) * 2)


def _add_stream(container: Any, codec: str, rate: int, **options: Any) -> Any:
    """Add a stream; FFmpeg may have been built without its codec."""
    import av

    try:
        return container.add_stream(codec, rate=rate, **options)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"cannot be copied: this build of FFmpeg has no {codec}") from error
