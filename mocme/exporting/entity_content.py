"""What the entities of a dataset list, whole, by field: texts, numbers, and paths of media.

`mocme.listed_items` has the same, shortened, as a report shows it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from extractors.registry import load_extractor_class
from flows.configs.pipeline_config import PipelineConfig
from storage.datasets.dataset import Dataset
from storage.datasets.items import Entity, ItemKind, may_be_listed

# What the fields hold that configs mostly name; they count where no modality reads them, too.
_CONVENTIONAL: Mapping[str, tuple[str, ItemKind]] = {
    "text": ("text", "text"),
    "image": ("image", "file"),
    "audio": ("audio", "file"),
    "video": ("video", "file"),
    "numeric": ("numeric", "numbers"),
}

Number = int | float
Strings = Mapping[str, Sequence[str]]
"""By entity id, in the order of the entities; an entity that lists nothing is left out."""


@dataclass(frozen=True)
class EntityContent:
    """What entities list.

    Attributes:
        root: The dataset's folder, which paths are relative to.
        texts: By field, the texts of each entity.
        paths: By field, the paths of each entity's files, as listed.
        media: By field of `paths`, its modality, such as `image`.
        numbers: By attribute, the number of each entity id.
    """

    root: Path = field(default_factory=Path)
    texts: Mapping[str, Strings] = field(default_factory=dict)
    paths: Mapping[str, Strings] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)


def content_of(config: PipelineConfig, dataset: Dataset) -> EntityContent:
    """Return what the entities list in the fields that a config's modalities read.

    The fields `text`, `image`, `audio`, `video` and `numeric` count in any case. A value of the
    wrong type is left out: extraction reports it.

    Args:
        config: Whose modalities say which fields hold what.
        dataset: The dataset.
    """
    kinds = _fields(config)
    files = {name: modality for name, (modality, kind) in kinds.items() if kind == "file"}
    texts = {name: _strings(dataset, name) for name, (_, kind) in kinds.items() if kind == "text"}
    paths = {name: _paths(dataset, name) for name in files}
    numeric = [name for name, (_, kind) in kinds.items() if kind == "numbers"]
    return EntityContent(
        dataset.root.absolute(),
        {name: found for name, found in texts.items() if found},
        {name: found for name, found in paths.items() if found},
        {name: modality for name, modality in files.items() if paths[name]},
        _numbers(dataset, numeric),
    )


def _fields(config: PipelineConfig) -> dict[str, tuple[str, ItemKind]]:
    """Return by field the modality that reads it, and what kind of item it holds."""
    found: dict[str, tuple[str, ItemKind]] = {}
    for name, entry in config.modalities.items():
        extractor = load_extractor_class(entry.extractor)
        if extractor.item_kind not in ("file", "text", "numbers"):
            continue
        for read in config.fields_of(name):
            found.setdefault(read, (getattr(extractor, "modality", name), extractor.item_kind))
    for own in ("id", "name"):  # which every export has
        found.pop(own, None)
    return found | {name: it for name, it in _CONVENTIONAL.items() if name not in found}


def _strings(dataset: Dataset, name: str) -> Strings:
    found = ((entity.id, _distinct(entity, name)) for entity in dataset.entities)
    return {entity: strings for entity, strings in found if strings}


def _distinct(entity: Entity, name: str) -> list[str]:
    """Return the strings of a field, each once, without those that are blank."""
    value = entity.fields.get(name)
    listed = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(it.strip() for it in listed if isinstance(it, str) and it.strip()))


def _paths(dataset: Dataset, name: str) -> Strings:
    found = (
        (entity.id, [it for it in _distinct(entity, name) if may_be_listed(it)])
        for entity in dataset.entities
    )
    return {entity: paths for entity, paths in found if paths}


def _numbers(dataset: Dataset, fields: Sequence[str]) -> dict[str, dict[str, Number]]:
    """Return by attribute the number of each entity; of several fields, the last one counts."""
    found: dict[str, dict[str, Number]] = {}
    for entity in dataset.entities:
        for attribute, value in _numbers_of(entity, fields):
            found.setdefault(attribute, {})[entity.id] = value
    return dict(sorted(found.items()))


def _numbers_of(entity: Entity, fields: Sequence[str]) -> Iterator[tuple[str, Number]]:
    for name in fields:
        listed = entity.fields.get(name)
        for attribute, value in listed.items() if isinstance(listed, Mapping) else ():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and (isinstance(value, int) or math.isfinite(value)):
                yield attribute, value
