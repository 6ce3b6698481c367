"""Sounds decoded block by block, by FFmpeg or libsndfile, their channels averaged."""

from collections.abc import Callable, Generator
from contextlib import closing
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.container import Nameless, open_stream
from extractors.media.sounds.chunk_sizes import PatchedFile, open_with_true_size
from extractors.media.sounds.mpeg_audio import is_free_format, stated_frames, tag_bytes
from extractors.media.sounds.ogg_links import OggLink
from extractors.media.sounds.packets import decode_packets

if TYPE_CHECKING:
    import soundfile
    from av import AudioFrame

Samples = NDArray[np.float32]

Block = tuple[Samples, int]
"""Mono samples, shape (n,), and their rate in Hz."""

File = FileIO | PatchedFile

_BLOCK_VALUES = 1 << 18
_PLAIN_MAGICS = (b"RIFF", b"RF64", b"riff", b"FORM", b"caff", b".snd")
_PLAIN_SUBTYPES = (
    "PCM_S8",
    "PCM_U8",
    "PCM_16",
    "PCM_24",
    "PCM_32",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
)


def decode_sound(path: Path) -> Generator[Block]:
    """Decode the first sound track of a file, up to the end of the file.

    libsndfile decodes what is stored sample by sample, where a length is one of bytes. FFmpeg
    decodes all other sounds, for libsndfile relies on a length that their header states, or that
    it estimates. What FFmpeg does not know is left to libsndfile.

    Yields:
        Blocks. Their rate may change.

    Raises:
        MediaError: If it is no sound, or damaged.
    """
    failure = None
    with open_with_true_size(path) as file:
        for decode in (_decode_plain, _decode_with_ffmpeg, _decode_unknown):
            file.seek(0)
            with closing(decode(file)) as blocks:
                try:
                    first = next(blocks, None)
                except MediaError as error:
                    failure = failure or error
                    continue
                if first is not None:
                    yield first
                    yield from blocks
                    return
    if failure is not None:
        raise failure


def _decode_plain(file: File) -> Generator[Block]:
    """Decode what is stored sample by sample; nothing of other files."""
    if _read_magic(file) in _PLAIN_MAGICS:
        yield from _decode_with_libsndfile(file, lambda sound: sound.subtype in _PLAIN_SUBTYPES)


def _decode_unknown(file: File) -> Generator[Block]:
    """Decode what FFmpeg does not know; nothing of what it does, where damage is told by it."""
    known = ("FLAC", "OGG") if is_free_format(file) else ("FLAC", "OGG", "MP3")
    yield from _decode_with_libsndfile(file, lambda sound: sound.format not in known)


def _decode_with_libsndfile(
    file: File, suits: Callable[["soundfile.SoundFile"], bool]
) -> Generator[Block]:
    """Decode what libsndfile knows and `suits`; nothing of other files."""
    import soundfile

    # A descriptor has no name, from whose extension soundfile would conclude that it is raw.
    source = file if isinstance(file, PatchedFile) else file.fileno()
    try:
        sound = soundfile.SoundFile(source, closefd=False)
    except soundfile.LibsndfileError:
        return
    with sound:
        if not suits(sound):
            return
        num_frames = max(1, _BLOCK_VALUES // sound.channels)
        try:
            while (channels := sound.read(num_frames, dtype="float32", always_2d=True)).size:
                yield channels.mean(axis=1, dtype=np.float32), sound.samplerate
        except soundfile.LibsndfileError as error:
            raise MediaError(f"damaged: {error}") from None


def _read_magic(file: File) -> bytes:
    """Return a file's first four bytes, and go back to where it was."""
    start = file.tell()
    magic = file.read(4)
    file.seek(start)
    return magic


def _decode_with_ffmpeg(file: File) -> Generator[Block]:
    """Decode the first sound track of anything FFmpeg knows, behind an ID3 tag if there is one."""
    num_mpeg_frames = stated_frames(file)
    start = tag_bytes(file)
    file.seek(start)
    if _read_magic(file) != b"OggS":
        yield from _decode_container(Nameless(file, start), num_mpeg_frames)
        return
    pages = BufferedReader(file)
    try:
        link = OggLink(pages)
        yield from _decode_container(link)
        link.skip()
        while link.is_followed:
            link = OggLink(pages)
            yield from _decode_container(link)
            link.skip()
    finally:
        pages.detach()  # lest the file be closed with it


def _decode_container(
    source: Nameless | OggLink, num_mpeg_frames: int | None = None
) -> Generator[Block]:
    """Decode the first sound track of a container."""
    with open_stream(source, "sound") as container:
        for frame in decode_packets(container, num_mpeg_frames):
            if frame.samples:
                yield _average_channels(frame), frame.sample_rate


def _average_channels(frame: "AudioFrame") -> Samples:
    """Return mono samples of a frame of any sample format. Shape: (frame.samples,)."""
    values = _values_of(frame)
    channels = values if frame.format.is_planar else values.reshape(frame.samples, -1).T
    mono: Samples = channels.mean(axis=0, dtype=np.float32)
    if np.issubdtype(values.dtype, np.floating):
        return mono
    full_scale = np.float32(2.0 ** (8 * values.itemsize - 1))
    silence = full_scale if values.dtype == np.uint8 else np.float32(0)
    scaled: Samples = (mono - silence) / full_scale
    return scaled


def _values_of(frame: "AudioFrame") -> NDArray[Any]:
    """Return a frame's samples; PyAV converts none of 64 bits. Shape: (planes, n)."""
    if frame.format.name != "s64":
        values: NDArray[Any] = frame.to_ndarray()
        return values
    num_values = frame.samples * frame.layout.nb_channels
    return np.frombuffer(bytes(frame.planes[0]), np.int64, num_values)[np.newaxis]
