"""Adds media files that nothing can decode: one bad file must never stop a run."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from extractors.sample.media import media_path


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A listed file that cannot be decoded.

    Attributes:
        modality: Field of the entity that lists it.
        name: File name.
        content: What the file holds; None if the file does not exist.
        fault: What is wrong with it, for the reader.
    """

    modality: str
    name: str
    content: bytes | None
    fault: str

    @property
    def listed(self) -> str:
        """The path in the dataset folder, as an entity lists it."""
        return media_path(self.modality, self.name)


def broken_files() -> tuple[BrokenFile, ...]:
    """Make one file for each fault."""
    return (
        BrokenFile("image", "torn.png", _truncated_png(), "a PNG that ends in the middle"),
        BrokenFile("image", "letter.png", b"Dear reader, I am no picture.\n", "a text named .png"),
        BrokenFile("image", "lost.jpg", None, "a file that is listed and does not exist"),
        BrokenFile("audio", "silence.wav", b"", "an empty file"),
        BrokenFile("video", "static.mp4", bytes(range(256)) * 8, "bytes that are no MP4"),
    )


def add_broken_files(directory: Path, fields: Sequence[dict[str, object]]) -> None:
    """Write the broken files and list each with a thing that has no other file of its modality.

    Args:
        directory: The dataset folder.
        fields: The fields of each thing's entity; changed in place.
    """
    for broken in broken_files():
        lacking = next(shown for shown in fields if broken.modality not in shown)
        lacking[broken.modality] = [broken.listed]
        if broken.content is not None:
            (directory / broken.listed).write_bytes(broken.content)


def _truncated_png() -> bytes:
    whole = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").rotate(30).save(whole, "PNG")
    return whole.getvalue()[: len(whole.getvalue()) // 2]
