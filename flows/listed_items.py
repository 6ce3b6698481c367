"""What entities list in a dataset, by kind: texts, numbers, files of pictures, sounds, clips."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from extractors.registry import load_extractor_class
from flows.configs.pipeline_config import PipelineConfig
from flows.failure_report import FAILURES_FILE
from storage.datasets.dataset import Dataset
from storage.datasets.items import ItemKind

Kind = Literal["image", "audio", "video"]

_LONGEST_TEXT = 200  # characters
_MOST_NUMBERS = 8  # of an entity


class ListedItems:
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

    def numbers(self, entities: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield each entity's first numbers, as `height 3.2, weight 5`."""
        found: dict[str, dict[str, object]] = {entity: {} for entity in entities}
        for entity, content in self._items("numeric", "numbers", set(found)):
            if isinstance(content, Mapping):
                found[entity].update(content)
        for entity, by_attribute in found.items():
            first = islice(by_attribute.items(), _MOST_NUMBERS)
            if told := ", ".join(f"{name} {value}" for name, value in first):
                yield entity, told

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
        for entity, content in self._items(modality, kind, set(found)):
            if str(content) not in found[entity]:
                found[entity].append(str(content))
        return {entity: contents for entity, contents in found.items() if contents}

    def _items(
        self, modality: str, kind: ItemKind, entities: set[str]
    ) -> Iterator[tuple[str, str | Mapping[str, object]]]:
        """Yield what some entities list for the extractors of a modality."""
        ids = self._dataset.graph.entities
        for name, entry in self._config.modalities.items():
            extractor = load_extractor_class(entry.extractor)
            if (getattr(extractor, "modality", None), extractor.item_kind) != (modality, kind):
                continue
            for item in self._dataset.items(self._config.fields_of(name), kind):
                if ids[item.entity] in entities:
                    yield ids[item.entity], item.content


def failed_files(runs: Path) -> set[str]:
    """Return what failed in the last extraction: a decoder may crash or hang on it."""
    try:
        lines = (runs / FAILURES_FILE).read_text(encoding="utf-8").splitlines()
        return {str(json.loads(line)["item"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
