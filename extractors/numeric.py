"""Numbers by attribute, stored as they are beside a mask of those that are known."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, MediaError, RawContent

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class NumericConfig(ExtractorConfig):
    """Config of `numeric`."""

    attributes: frozenset[str] | None = Field(
        None, min_length=1, description="Attributes to keep; null = all that occur."
    )


class Numeric(Extractor[NumericConfig, NDArray[np.float32]]):
    """Raw values and their mask; to standardise them is the reader's affair."""

    name = "numeric"
    modality = "numeric"
    item_kind = "numbers"
    layout = "values_and_mask"
    fixed_dtype = "float32"
    decodes_in_workers = False
    Config = NumericConfig

    def __init__(self, config: NumericConfig, *args: Any) -> None:
        super().__init__(config, *args)
        self._attributes = sorted(config.attributes or ())

    def prepare(self, contents: Iterable[RawContent]) -> None:
        """Collect the attributes that occur, unless the config names them."""
        if self.config.attributes is None:
            self._attributes = sorted({name for content in contents for name in _numbers(content)})

    @property
    def dim(self) -> int:
        """Length of a row: a value and a mask for every attribute."""
        return 2 * len(self._attributes)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the attributes, in the order of their columns."""
        return {"attributes": self._attributes}

    def load(self, content: RawContent) -> NDArray[np.float32]:
        """Check one entity's numbers. Shape: (dim,)."""
        numbers = _numbers(content)
        row = np.zeros((2, len(self._attributes)), dtype=np.float32)
        for column, attribute in enumerate(self._attributes):
            value = numbers.get(attribute)
            if value is not None:
                row[:, column] = _checked(attribute, value), 1.0
        return row.ravel()

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)


def _numbers(content: RawContent) -> Mapping[str, object]:
    """Return a content as what this extractor's items are."""
    if not isinstance(content, Mapping):
        raise TypeError(f"found {type(content).__name__}; allowed: attribute -> number")
    return content


def _checked(attribute: str, value: object) -> float:
    """Return a value that float32 can hold; null is none, and never gets here."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refusal(attribute, value)
    if not abs(value) <= _FLOAT32_MAX:  # nor is nan
        raise _refusal(attribute, value)
    return float(value)


def _refusal(attribute: str, value: object) -> MediaError:
    return MediaError(
        f"attribute '{attribute}': found {value!r:.60}; allowed: a finite number within "
        f"±{_FLOAT32_MAX:.3g}, or null"
    )
