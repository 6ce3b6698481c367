"""Batches of items that may go through a backbone together."""

from collections.abc import Iterator
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

_MAX_WAITING_BATCHES = 2


class Batcher(Generic[ItemT]):
    """Collects items until a batch of one key is full.

    Where keys are many (say, a sound's length), most batches would never fill: when items of two
    batches wait, the largest group goes as it is, so that memory stays flat.

    Args:
        batch_size: Items in a full batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._groups: dict[int, list[ItemT]] = {}
        self._num_waiting = 0

    def add(self, key: int, item: ItemT) -> list[ItemT] | None:
        """Add an item; only those of equal keys share a batch. Returns a batch if one is due."""
        group = self._groups.setdefault(key, [])
        group.append(item)
        self._num_waiting += 1
        if len(group) == self._batch_size:
            return self._take(key)
        if self._num_waiting >= _MAX_WAITING_BATCHES * self._batch_size:
            return self._take(max(self._groups, key=lambda waiting: len(self._groups[waiting])))
        return None

    def flush(self) -> Iterator[list[ItemT]]:
        """Yield what is left."""
        for key in list(self._groups):
            yield self._take(key)

    def _take(self, key: int) -> list[ItemT]:
        batch = self._groups.pop(key)
        self._num_waiting -= len(batch)
        return batch
