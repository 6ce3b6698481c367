"""Media of the entities that predictions name: small copies as data URIs, within a budget of bytes.

An entity's copies are in the page once, however many predictions name it. Pictures come first, of
all entities in the order of the predictions, then sounds, then clips, until the budget is spent.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from flows.listed_items import Kind, ListedItems, failed_files
from flows.stages.run_source import Source

if TYPE_CHECKING:
    from extractors.thumbnail import SmallCopy

_MARKUP_BYTES = 200  # around a data URI


@dataclass
class EntityMedia:
    """What the page shows of an entity.

    Attributes:
        text: The beginning of its texts.
        numbers: Its first numbers.
        image: Data URI of a picture.
        audio: Data URI of the beginning of a sound.
        video: Data URI of some frames of a clip.
        poster: Data URI of one of them.
    """

    text: str = ""
    numbers: str = ""
    image: str | None = None
    audio: str | None = None
    video: str | None = None
    poster: str | None = None


@dataclass
class Gallery:
    """The media that are in the page, and what is not.

    Attributes:
        of: By entity.
        num_broken: Files that could not be copied.
        left_out: Number of entities whose files of a kind had no room.
    """

    of: dict[str, EntityMedia] = field(default_factory=dict)
    num_broken: int = 0
    left_out: dict[Kind, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, entities: Sequence[str]) -> "Gallery":
        """Return a gallery with nothing of these entities."""
        return cls({entity: EntityMedia() for entity in entities})


def collect_media(source: Source, runs: Path, entities: Sequence[str], budget: int) -> Gallery:
    """Copy media of entities.

    Args:
        source: Where they come from; nothing is copied if there is no dataset.
        runs: Folder of the runs: files that failed in the extraction are not tried.
        entities: Ids, those first whose media matter most.
        budget: Bytes that texts and data URIs may take.
    """
    gallery = Gallery.empty(entities)
    config, dataset = source.config, source.dataset
    if config is None or dataset is None:
        return gallery
    listed = ListedItems(config, dataset, failed_files(runs))
    for entity, text in listed.texts(entities):
        gallery.of[entity].text = text
        budget -= len(text.encode()) + _MARKUP_BYTES
    for entity, numbers in listed.numbers(entities):
        gallery.of[entity].numbers = numbers
        budget -= len(numbers.encode()) + _MARKUP_BYTES
    for kind in get_args(Kind):
        budget = _copy_kind(gallery, kind, listed.files(kind, entities), budget)
    return gallery


def _copy_kind(
    gallery: Gallery, kind: Kind, files: Mapping[str, Sequence[Path]], budget: int
) -> int:
    """Copy one file of each entity while there is room; return what is left of the budget."""
    for number, (entity, paths) in enumerate(files.items()):
        uris = _first_copy(gallery, kind, paths)
        size = sum(len(uri) + _MARKUP_BYTES for uri in uris)
        if size > budget:
            gallery.left_out[kind] = len(files) - number
            break
        for name, uri in zip((kind, "poster"), uris, strict=False):
            setattr(gallery.of[entity], name, uri)
        budget -= size
    return budget


def _first_copy(gallery: Gallery, kind: Kind, paths: Sequence[Path]) -> list[str]:
    """Return the data URIs of the first file that can be copied; nothing if there is none."""
    for path in paths:
        try:
            return [_data_uri(copy) for copy in _copiers()[kind](path)]
        except Exception:  # whatever a decoder raises, the report goes on
            gallery.num_broken += 1
    return []


def _copiers() -> Mapping[Kind, Callable[[Path], Sequence["SmallCopy"]]]:
    from extractors.thumbnail import copy_clip, copy_picture, copy_sound  # imports decoders

    return {
        "image": lambda path: [copy_picture(path)],
        "audio": lambda path: [copy_sound(path)],
        "video": copy_clip,
    }


def _data_uri(copy: "SmallCopy") -> str:
    return f"data:{copy.mime};base64,{b64encode(copy.content).decode()}"
