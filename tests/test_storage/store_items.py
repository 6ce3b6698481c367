"""Made-up items for the tests of the feature store: digests, vectors, spaces."""

import hashlib
from collections.abc import Iterable

import numpy as np

from storage.features.block import Rows
from storage.features.space import FeatureSpace

SPACE = FeatureSpace("image_test", {"version": 1}, dim=512, dtype="float16")


def digest(item: int) -> bytes:
    """Return the digest of an item."""
    return hashlib.blake2b(str(item).encode(), digest_size=32).digest()


def vector(item: int, space: FeatureSpace = SPACE) -> Rows:
    """Return the vector of an item; no two items share one. Shape: (dim,)."""
    return np.random.default_rng(item).standard_normal(space.dim).astype(space.dtype)


def vectors(items: Iterable[int], space: FeatureSpace = SPACE) -> dict[bytes, Rows]:
    """Return vectors by digest."""
    return {digest(item): vector(item, space) for item in items}


def rows(items: Iterable[int], space: FeatureSpace = SPACE) -> Rows:
    """Return the vectors of items as rows. Shape: (num_items, dim)."""
    found = [vector(item, space) for item in items]
    return np.array(found, dtype=space.dtype).reshape(-1, space.dim)


def reason(item: int) -> str:
    """Return why an item has failed."""
    return f"item {item}: found nonsense"
