"""Encoding a batch, whatever one of its items or the device's memory does."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.base import Extractor
from extractors.loading import Failure, failure_of
from storage.errors import MocmeError
from storage.features.space import FeatureDtype

Row = NDArray[np.float16] | NDArray[np.float32]

_MAX_ERRORS_IN_A_ROW = 8


class Encoder:
    """Runs an extractor's `encode` and checks what it returns.

    Out of memory halves the batch, for the rest of the run. After any other error the items are
    tried one by one, so that a bad one costs no other its vector. When the last eight or more have
    all failed, the extractor is at fault, or its device, and not the items: the error goes up.

    Args:
        extractor: Its `encode` runs.
        dtype: Dtype of the rows returned.
        batch_size: Items that `encode` gets at most.
    """

    def __init__(
        self, extractor: Extractor[Any, Any], dtype: FeatureDtype, batch_size: int
    ) -> None:
        self._extractor = extractor
        self._dtype = np.dtype(dtype)
        self._batch_size = batch_size
        self._errors_in_a_row: list[Exception] = []

    def encode(self, batch: Sequence[object]) -> list[Row | Failure]:
        """Encode loaded items. Returns, for each, its row of shape (dim,) or why it has none."""
        rows: list[Row | Failure] = []
        while len(rows) < len(batch):
            rows += self._encode_part(batch[len(rows) : len(rows) + self._batch_size])
        if len(self._errors_in_a_row) >= _MAX_ERRORS_IN_A_ROW:
            raise self._errors_in_a_row[-1]
        return rows

    def _encode_part(self, part: Sequence[object]) -> list[Row | Failure]:
        """Encode items at once, or find out what stands against it.

        Returns:
            As `encode`; nothing if fewer items should be tried.
        """
        encoded = self._try(part)
        if isinstance(encoded, list):
            return encoded
        if len(part) == 1:
            return [self._give_up(encoded)]
        if is_out_of_memory(encoded):
            self._batch_size = (len(part) + 1) // 2
            free_device_memory()
            return []
        return [row for item in part for row in self._encode_part([item])]

    def _try(self, part: Sequence[object]) -> list[Row | Failure] | Exception:
        """Encode items at once. Returns the error, if any, freed of what its traceback holds."""
        try:
            vectors = self._extractor.encode(part)
        except (MocmeError, ImportError):  # weights or a library that cannot be had
            raise
        except Exception as error:
            error.add_note(traceback.format_exc())
            return error.with_traceback(None)
        expected = (len(part), self._extractor.dim)
        if vectors.shape != expected:
            name = type(self._extractor).__name__
            raise TypeError(f"{name}.encode returned shape {vectors.shape}, not {expected}")
        self._errors_in_a_row.clear()
        return self._check(vectors)

    def _check(self, vectors: NDArray[np.float32]) -> list[Row | Failure]:
        """Convert vectors to the stored dtype; those that it cannot hold are failures."""
        with np.errstate(over="ignore"):
            rows = vectors.astype(self._dtype)
        if np.isfinite(rows).all():
            return list(rows)
        return [
            row if np.isfinite(row).all() else _describe_overflow(vector, self._dtype)
            for row, vector in zip(rows, vectors, strict=True)
        ]

    def _give_up(self, error: Exception) -> Failure:
        """Turn the error of a single item into its failure."""
        if is_out_of_memory(error):
            return Failure("out of memory in a batch of its own", lasting=False)
        self._errors_in_a_row.append(error)
        return failure_of(error)


def is_out_of_memory(error: Exception) -> bool:
    """Tell a lack of memory, the device's or the machine's, from other errors."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def free_device_memory() -> None:
    """Give back what torch keeps for later; the next try may need it in other pieces."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _describe_overflow(vector: NDArray[np.float32], dtype: np.dtype[Any]) -> Failure:
    if np.isfinite(vector).all():
        return Failure(f"its vector exceeds the range of {dtype}")
    return Failure("its vector holds values that are not finite")
