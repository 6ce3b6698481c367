"""What entities list in a dataset, by kind: texts, numbers, files of pictures, sounds, clips."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

from extractors.inspection.openable_files import openable_files
from extractors.registry import load_extractor_class
from extractors.thumbnail import Kind
from flows.configs.pipeline_config import ModalityConfig, PipelineConfig
from storage.datasets.dataset import Dataset
from storage.datasets.items import ItemKind
from storage.files.file_access import ListedFile

_LONGEST_TEXT = 200  # characters
_MOST_NUMBERS = 8  # of an entity


class ListedItems:
    """What entities list, by the kind of their media.

    Args:
        config: Whose modalities say which fields hold what.
        dataset: The dataset.
    """

    def __init__(self, config: PipelineConfig, dataset: Dataset) -> None:
        self._config, self._dataset = config, dataset

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

    def files(self, kind: Kind, entities: Sequence[str]) -> Mapping[str, Sequence[ListedFile]]:
        """Return the files of one kind that entities list, in the order of the entities.

        Left out is what must not be opened, and what the extraction has failed on.
        """
        contents = self._contents(kind, "file", entities)
        listed = dict.fromkeys(chain.from_iterable(contents.values()))
        extractors = {entry.extractor for _, entry in self._entries(kind, "file")}
        openable = openable_files(self._dataset.root, list(listed), self._config.store, extractors)
        files = {
            entity: [openable[name] for name in names if name in openable]
            for entity, names in contents.items()
        }
        return {entity: those for entity, those in files.items() if those}

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
        for name, _ in self._entries(modality, kind):
            for item in self._dataset.items(self._config.fields_of(name), kind):
                if ids[item.entity] in entities:
                    yield ids[item.entity], item.content

    def _entries(self, modality: str, kind: ItemKind) -> Iterator[tuple[str, ModalityConfig]]:
        """Yield the config's entries whose extractors are of a modality."""
        for name, entry in self._config.modalities.items():
            extractor = load_extractor_class(entry.extractor)
            if (getattr(extractor, "modality", None), extractor.item_kind) == (modality, kind):
                yield name, entry
