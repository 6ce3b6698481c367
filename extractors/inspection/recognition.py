"""Telling, without decoding it, whether a file is of a format that the extractors read.

The first bytes of the common formats decide at once. What they do not decide, the readers do, in
processes that may hang or crash without harm.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.base import RawContent
from extractors.engine.decoding import DecodingPool
from extractors.loading import Failure
from extractors.media.clip import duration_seconds
from extractors.media.picture import FORMATS, read_picture
from extractors.media.sound import read_sound
from extractors.thumbnail import Kind
from storage.datasets.items import ItemKind
from storage.files.file_access import ListedFile

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = 32
"""What of a file's beginning is looked at."""

_NUM_WORKERS = 2
_MOST_SECONDS = 10.0  # that one file may take
_PROBED_RATE_HZ, _PROBED_SECONDS = 8000, 0.01

_Magic = tuple[int, bytes]  # where it stands, and what stands there
_EITHER: tuple[_Magic, ...] = ((0, b"\x1aE\xdf\xa3"), (0, b"OggS"), (4, b"ftyp"), (0, b"0&\xb2u"))
_OF_SOUNDS: tuple[_Magic, ...] = (
    *((8, b"WAVE"), (8, b"AIFF"), (8, b"AIFC"), (0, b"fLaC"), (0, b"ID3"), (0, b".snd")),
    *((0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"), (0, b"caff"), (0, b"#!AMR")),
)
_OF_CLIPS: tuple[_Magic, ...] = ((8, b"AVI "), (0, b"FLV"), (0, b"\x00\x00\x01\xba"), (0, b"GIF8"))
_PICTURES_IN_FTYP = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def is_recognised(kind: Kind, head: bytes) -> bool:
    """Whether a file's first `HEAD_BYTES` are those of a format that is read.

    Args:
        kind: What the file should hold.
        head: Its beginning.
    """
    if kind == "image":
        head = head.ljust(HEAD_BYTES, b"\0")  # Pillow takes it for granted that there is so much
        return any(accept(head) is True for accept in _picture_formats())
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURES_IN_FTYP:
        return False
    magics = (*_EITHER, *(_OF_SOUNDS if kind == "audio" else _OF_CLIPS))
    return any(head.startswith(magic, start) for start, magic in magics)


def why_unread(kind: Kind, files: Iterable[ListedFile]) -> Iterator[tuple[ListedFile, str | None]]:
    """Have the readers open files.

    Args:
        kind: What the files should hold.
        files: The files.

    Yields:
        Files, in any order, each with the reason why it is not read; None if it is.
    """
    with DecodingPool(_Prober(kind), _NUM_WORKERS, _MOST_SECONDS) as pool:
        for file, found in pool.load((file, file) for file in files):
            yield file, found.reason if isinstance(found, Failure) else None


@dataclass(frozen=True)
class _Prober:
    """Opens files, in the other processes."""

    kind: Kind
    item_kind: ItemKind = "file"

    def load(self, content: RawContent) -> None:
        """Open a file; a picture is read, for its formats are told apart by nothing else."""
        path = Path(str(content))
        if self.kind == "image":
            read_picture(path, least_side=1)
        elif self.kind == "audio":
            read_sound(path, _PROBED_RATE_HZ, _PROBED_SECONDS)
        else:
            duration_seconds(path)


@cache
def _picture_formats() -> Sequence["Callable[[bytes], bool | str]"]:
    """Return what Pillow recognises each format by; some formats have nothing."""
    from PIL import Image

    Image.init()
    known: Mapping[str, tuple[object, Callable[[bytes], bool | str] | None]] = Image.OPEN
    accepts = (known[name][1] for name in FORMATS if name in known)
    return [accept for accept in accepts if accept is not None]
