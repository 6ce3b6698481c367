"""Triples as single numbers, by which they are compared, counted and looked up."""

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
"""One number for each triple; equal numbers for equal triples. Shape: (num_triples,)."""


def pack(triples: NDArray[np.int64], num_entities: int, num_relations: int) -> Keys:
    """Pack each triple into one number.

    Args:
        triples: Shape: (num_triples, 3).
        num_entities: Of the graph that the indices belong to.
        num_relations: Of that graph.

    Raises:
        OverflowError: If the graph has so many entities and relations that 63 bits are too few.
    """
    if num_entities**2 * num_relations > np.iinfo(np.int64).max:
        raise OverflowError(
            f"{num_entities:,} entities and {num_relations:,} relations "
            "make more triples than fit into 63 bits"
        )
    heads, relations, tails = triples.T
    keys: Keys = (heads * num_relations + relations) * num_entities + tails
    return keys


def first_occurrences(keys: Keys) -> NDArray[np.bool_]:
    """Return which keys no earlier one equals. Shape: that of `keys`."""
    mask = np.zeros(len(keys), dtype=np.bool_)
    mask[np.unique(keys, return_index=True)[1]] = True
    return mask


def sorted_distinct(keys: Keys) -> Keys:
    """Return each key once, in ascending order; by sorting, as `np.unique` is slow for millions."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def is_among(keys: Keys, distinct: Keys) -> NDArray[np.bool_]:
    """Return which keys stand in a sorted array; several times faster than `np.isin`.

    Args:
        keys: Shape: (num_keys,).
        distinct: Sorted, without duplicates. Shape: (num_distinct,).
    """
    if not len(distinct):
        return np.zeros(len(keys), dtype=np.bool_)
    places = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1)
    among: NDArray[np.bool_] = distinct[places] == keys
    return among
