"""Writes the media of one thing, and the fields of the entity that refer to them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from extractors.sample.clips import film, write_clip
from extractors.sample.measurements import measure
from extractors.sample.pictures import draw_picture
from extractors.sample.sounds import SAMPLE_RATE_HZ, sing
from extractors.sample.texts import write_text
from extractors.sample.world import MODALITIES, Thing

_SECOND_PICTURE_RATE = 0.1
"""Share of the things in pictures that have two of them."""

FILE_MODALITIES = ("image", "audio", "video")
"""The modalities whose items are files."""


def make_fields(directory: Path, seed: int, thing: Thing, row: int) -> dict[str, object]:
    """Show a thing in each of its modalities, and write the files that this takes.

    Every modality of every thing has its own source of chance, so that none depends on which
    others are missing.

    Args:
        directory: The dataset folder.
        seed: Seed of the world.
        thing: The thing.
        row: The thing's place among the things.

    Returns:
        The entity's fields, besides its id and name.
    """
    chances = np.random.SeedSequence([seed, row]).spawn(len(MODALITIES))
    return {
        modality: _MAKERS[modality](directory, thing, np.random.default_rng(chance))
        for modality, chance in zip(MODALITIES, chances, strict=True)
        if modality in thing.modalities
    }


def media_path(modality: str, file_name: str) -> str:
    """Return the path of a media file in the dataset folder, as an entity lists it."""
    return f"media/{modality}/{file_name}"


def _make_text(directory: Path, thing: Thing, rng: np.random.Generator) -> str:
    return write_text(thing, rng)


def _make_pictures(directory: Path, thing: Thing, rng: np.random.Generator) -> list[str]:
    names = [f"{thing.id}.jpg"]
    if rng.uniform() < _SECOND_PICTURE_RATE:
        names.append(f"{thing.id}_again.jpg")
    listed = [media_path("image", name) for name in names]
    for path in listed:
        draw_picture(thing, rng).save(directory / path, quality=88)
    return listed


def _make_sound(directory: Path, thing: Thing, rng: np.random.Generator) -> list[str]:
    listed = media_path("audio", f"{thing.id}.mp3")
    # MP3: in Ogg, libsndfile writes a serial number drawn anew each time.
    soundfile.write(directory / listed, sing(thing, rng), SAMPLE_RATE_HZ)
    return [listed]


def _make_clip(directory: Path, thing: Thing, rng: np.random.Generator) -> list[str]:
    listed = media_path("video", f"{thing.id}.mp4")
    write_clip(directory / listed, film(thing, rng))
    return [listed]


def _make_numbers(directory: Path, thing: Thing, rng: np.random.Generator) -> dict[str, float]:
    return measure(thing, rng)


_MAKERS: Mapping[str, Callable[[Path, Thing, np.random.Generator], object]] = {
    "text": _make_text,
    "image": _make_pictures,
    "audio": _make_sound,
    "video": _make_clip,
    "numeric": _make_numbers,
}
