"""Media of the entities that predictions name: small copies as data URIs, within a budget of bytes.

An entity's copies are in the page once, however many predictions name it. Pictures come first, of
all entities in the order of the predictions, then sounds, then clips, until the budget is spent.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from extractors.loading import Failure
from extractors.thumbnail import Copier, Kind, SmallCopy
from flows.configs.pipeline_config import PipelineConfig
from flows.stages.run_source import Source
from mocme.listed_items import ListedItems
from storage.files.file_access import ListedFile

_MARKUP_BYTES = 200  # around a data URI
_MOST_SECONDS = 20.0  # that one file may take


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


def collect_media(source: Source, entities: Sequence[str], budget: int) -> Gallery:
    """Copy media of entities.

    Args:
        source: Where they come from; nothing is copied if there is no dataset.
        entities: Ids, those first whose media matter most.
        budget: Bytes that texts and data URIs may take.
    """
    gallery = Gallery.empty(entities)
    config, dataset = source.config, source.dataset
    if config is None or dataset is None:
        return gallery
    listed = ListedItems(config, dataset)
    for entity, text in listed.texts(entities):
        gallery.of[entity].text = text
        budget -= len(text.encode()) + _MARKUP_BYTES
    for entity, numbers in listed.numbers(entities):
        gallery.of[entity].numbers = numbers
        budget -= len(numbers.encode()) + _MARKUP_BYTES
    _copy_kinds(gallery, get_args(Kind), config, listed, budget)
    return gallery


def collect_pictures(source: Source, entities: Sequence[str], budget: int) -> Gallery:
    """Copy a picture of each entity; see `collect_media`."""
    gallery = Gallery.empty(entities)
    if source.config is not None and source.dataset is not None:
        listed = ListedItems(source.config, source.dataset)
        _copy_kinds(gallery, ("image",), source.config, listed, budget)
    return gallery


def _copy_kinds(
    gallery: Gallery,
    kinds: Sequence[Kind],
    config: PipelineConfig,
    listed: ListedItems,
    budget: int,
) -> None:
    """Copy files of some kinds, one kind after the other, while there is room."""
    seconds = min(config.extract.timeout_seconds, _MOST_SECONDS)
    for kind in kinds:
        if files := listed.files(kind, list(gallery.of)):
            with Copier(kind, seconds) as copier:
                budget = _copy_kind(gallery, copier, kind, files, budget)


def _copy_kind(
    gallery: Gallery,
    copier: Copier,
    kind: Kind,
    files: Mapping[str, Sequence[ListedFile]],
    budget: int,
) -> int:
    """Copy one file of each entity while there is room; return what is left of the budget."""
    for number, (entity, those) in enumerate(files.items()):
        uris = _first_copy(gallery, copier, those)
        size = sum(len(uri) + _MARKUP_BYTES for uri in uris)
        if size > budget:
            gallery.left_out[kind] = len(files) - number
            break
        for name, uri in zip((kind, "poster"), uris, strict=False):
            setattr(gallery.of[entity], name, uri)
        budget -= size
    return budget


def _first_copy(gallery: Gallery, copier: Copier, files: Sequence[ListedFile]) -> list[str]:
    """Return the data URIs of the first file that can be copied; nothing if there is none."""
    for file in files:
        found = copier.copy(file)
        if not isinstance(found, Failure):
            return [_data_uri(copy) for copy in found]
        gallery.num_broken += 1
    return []


def _data_uri(copy: SmallCopy) -> str:
    return f"data:{copy.mime};base64,{b64encode(copy.content).decode()}"
