"""Media of the entities that predictions name: small copies as data URIs, within a budget of bytes.

An entity's copies are in the page once, however many predictions name it. Pictures come first, of
all entities in the order of the predictions, then sounds, then clips, until the budget is spent.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from extractors.registry import load_extractor_class
from flows.config import PipelineConfig
from flows.failure_report import FAILURES_FILE
from flows.report.run_data import Source
from storage.dataset import Dataset
from storage.items import ItemKind

if TYPE_CHECKING:
    from extractors.thumbnail import SmallCopy

Kind = Literal["image", "audio", "video"]

_LONGEST_TEXT = 200  # characters
_MARKUP_BYTES = 200  # around a data URI


@dataclass
class EntityMedia:
    """What the page shows of an entity.

    Attributes:
        text: The beginning of its texts.
        image: Data URI of a picture.
        audio: Data URI of the beginning of a sound.
        video: Data URI of some frames of a clip.
        poster: Data URI of one of them.
    """

    text: str = ""
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
    listed = _Listed(config, dataset, _failed_files(runs))
    for entity, text in listed.texts(entities):
        gallery.of[entity].text = text
        budget -= len(text.encode()) + _MARKUP_BYTES
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


class _Listed:
    """What entities list, by the kind of their media.

    Args:
        config: Whose modalities say which fields hold what.
        dataset: The dataset.
        failed: Files that are not to be tried.
    """

    def __init__(self, config: PipelineConfig, dataset: Dataset, failed: set[str]) -> None:
        self._config, self._dataset, self._failed = config, dataset, failed

    def texts(self, entities: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the beginning of each entity's texts."""
        graph = self._dataset.graph
        names = dict(zip(graph.entities, graph.names, strict=True))
        for entity, texts in self._contents("text", "text", entities).items():
            whole = " ".join(". ".join(texts).split())
            name = names[entity]  # which many configs read as a text, too
            whole = "" if whole == name else whole.removeprefix(f"{name}. ")
            short = whole if len(whole) <= _LONGEST_TEXT else f"{whole[: _LONGEST_TEXT - 1]}…"
            yield entity, short

    def files(self, kind: Kind, entities: Sequence[str]) -> Mapping[str, Sequence[Path]]:
        """Return the files of one kind that entities list, in the order of the entities."""
        contents = self._contents(kind, "file", entities)
        paths = {
            entity: [self._dataset.root / name for name in names if name not in self._failed]
            for entity, names in contents.items()
        }
        return {entity: those for entity, those in paths.items() if those}

    def _contents(
        self, modality: str, kind: ItemKind, entities: Sequence[str]
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {entity: [] for entity in entities}
        ids = self._dataset.graph.entities
        for name, entry in self._config.modalities.items():
            extractor = load_extractor_class(entry.extractor)
            if (getattr(extractor, "modality", None), extractor.item_kind) != (modality, kind):
                continue
            for item in self._dataset.items(self._config.fields_of(name), kind):
                contents = found.get(ids[item.entity])
                if contents is not None and str(item.content) not in contents:
                    contents.append(str(item.content))
        return {entity: contents for entity, contents in found.items() if contents}


def _failed_files(runs: Path) -> set[str]:
    """Return what failed in the last extraction: a decoder may crash or hang on it."""
    try:
        lines = (runs / FAILURES_FILE).read_text(encoding="utf-8").splitlines()
        return {str(json.loads(line)["item"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
