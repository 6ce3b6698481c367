"""A feature space: everything that determines the vectors in one store folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FeatureDtype = Literal["float16", "float32"]
FeatureLayout = Literal["dense", "values_and_mask"]


@dataclass(frozen=True)
class FeatureSpace:
    """Description of a feature space; its fingerprint names the folder.

    Attributes:
        extractor: Name of the extractor.
        parts: All that determines a vector besides the item's content, as JSON values: weights,
            preprocessing, pooling, the extractor's version.
        dim: Length of a row.
        dtype: Type of a row's numbers.
        layout: `dense`, or `values_and_mask`: the first half of a row holds raw values (0 where
            unknown), the second half 1.0 where the value is known and 0.0 where not.
    """

    extractor: str
    parts: Mapping[str, Any]
    dim: int
    dtype: FeatureDtype
    layout: FeatureLayout = "dense"

    def describe(self) -> dict[str, Any]:
        """Return the description as a JSON object."""
        return {
            "extractor": self.extractor,
            "parts": dict(self.parts),
            "dim": self.dim,
            "dtype": self.dtype,
            "layout": self.layout,
        }

    @property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of the description in canonical JSON."""
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]
