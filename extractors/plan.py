"""What is to be extracted: an extractor, and the fields whose items it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extractors.base import Extractor
from storage.datasets.dataset import Dataset
from storage.datasets.items import Item


@dataclass(frozen=True)
class ModalityPlan:
    """What to extract.

    Attributes:
        name: Name of the modality in the config.
        extractor: What turns an item into a vector.
        fields: The fields of an entity that hold the items.
    """

    name: str
    extractor: Extractor[Any, Any]
    fields: tuple[str, ...]

    def items_of(self, dataset: Dataset) -> list[Item]:
        """Return a dataset's items, in entity order, and let the extractor learn from them.

        Items that the extractor does not cover are left out.

        Raises:
            DatasetError: If the fields do not hold items of the extractor's kind.
        """
        items = dataset.items(self.fields, self.extractor.item_kind)
        self.extractor.prepare(item.content for item in items)
        return [item for item in items if self.extractor.covers(item.content)]

    def describe(self, item: Item) -> str:
        """Return a file's path as listed, or the fields that a text or numbers come from."""
        if self.extractor.item_kind == "file":
            return str(item.content)
        return ", ".join(self.fields)


def num_missing(dataset: Dataset, items: Sequence[Item]) -> int:
    """Count the entities that list no item."""
    return len(dataset.entities) - len({item.entity for item in items})
