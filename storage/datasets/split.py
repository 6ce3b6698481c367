"""Splitting triples reproducibly, so that no triple changes its split when others are added.

A triple's split follows from the SHA-256 of a salt and the triple's ids alone: not from a seed, nor
from which other triples there are or in which order they are listed. So nothing is ruled by entity
or relation, either: to keep one fact of each in train would move facts as others are added.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import SPLITS, Triples

DEFAULT_SALT = "mocme"
"""Salt of a split where none is given."""

_TEST_BELOW, _VALID_BELOW = 0.1, 0.2
"""Of a hash as a number from 0 to 1; those above go to train: 80/10/10 of a large graph."""


def split_triples(
    triples: Triples, entities: Sequence[str], relations: Sequence[str], salt: str = DEFAULT_SALT
) -> tuple[Triples, Triples, Triples]:
    """Split triples into train, valid and test, about 80/10/10, each in hash order.

    Duplicates are dropped. Only where a split of a tiny graph would be empty, the triple with the
    nearest hash fills it.

    Args:
        triples: Triples in any order. Shape: (num_triples, 3).
        entities: Entity ids by index.
        relations: Relation ids by index.
        salt: Another salt gives another split.

    Raises:
        ValueError: If there are fewer distinct triples than splits.
    """
    digests = _digests(triples, entities, relations, prefix=f"{salt}\t")
    order = _sorted_order(digests)
    repeats = (digests[order[1:]] == digests[order[:-1]]).all(axis=1)
    distinct = np.delete(order, np.flatnonzero(repeats) + 1)
    num_distinct = len(distinct)
    if num_distinct < len(SPLITS):
        raise ValueError(f"{num_distinct} distinct triples, too few for {len(SPLITS)} splits")
    places = np.ldexp(digests[distinct, 0].astype(np.float64), -64)
    test_end, valid_end = np.searchsorted(places, (_TEST_BELOW, _VALID_BELOW)).tolist()
    test_end = min(max(test_end, 1), num_distinct - 2)
    valid_end = min(max(valid_end, test_end + 1), num_distinct - 1)
    test, valid, train = np.split(triples[distinct], (test_end, valid_end))
    return train, valid, test


def carve(
    triples: Triples,
    entities: Sequence[str],
    relations: Sequence[str],
    num_triples: int,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Choose triples of train for another split, the lowest hashes first.

    Args:
        triples: Distinct triples to choose from. Shape: (num_train, 3).
        entities: Entity ids by index.
        relations: Relation ids by index.
        num_triples: How many to choose at most; fewer where too few can be spared.
        kept: Which are never chosen. Shape: (num_train,); None = any may be.

    Returns:
        Which triples are chosen. Shape: (num_train,).
    """
    order = _sorted_order(_digests(triples, entities, relations))
    chosen = np.zeros(len(triples), dtype=np.bool_)
    may_go = None if kept is None else ~kept[order]
    chosen[order] = _spare(triples[order], num_triples, may_go)
    return chosen


def _digests(
    triples: Triples, entities: Sequence[str], relations: Sequence[str], prefix: str = ""
) -> NDArray[np.uint64]:
    """Return the SHA-256 of each triple's ids, joined with tabs. Shape: (num_triples, 4)."""
    digests = b"".join(
        hashlib.sha256(f"{prefix}{entities[h]}\t{relations[r]}\t{entities[t]}".encode()).digest()
        for h, r, t in triples.tolist()
    )
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 4)


def _sorted_order(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the places of the digests in ascending order. Shape: (num_triples,)."""
    return np.lexsort(digests.T[::-1]).astype(np.int64)


def _spare(
    triples: Triples, num_triples: int, may_go: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Choose the first `num_triples` that leave no entity or relation without a triple.

    Args:
        triples: Distinct triples, in the order of choice. Shape: (num_triples, 3).
        num_triples: How many to choose at most.
        may_go: Which may be chosen. Shape: (num_triples,); None = any.

    Returns:
        Which triples are chosen. Shape: (num_triples,).
    """
    heads, relations, tails = triples.T
    is_loop = heads == tails
    entity_uses = np.bincount(np.concatenate([heads, tails[~is_loop]])).tolist()
    relation_uses = np.bincount(relations).tolist()
    chosen = np.zeros(len(triples), dtype=np.bool_)
    for index, (head, relation, tail) in enumerate(triples.tolist()):
        if num_triples <= 0:
            break
        if may_go is not None and not may_go[index]:
            continue
        if min(entity_uses[head], entity_uses[tail], relation_uses[relation]) < 2:
            continue
        entity_uses[head] -= 1
        entity_uses[tail] -= head != tail
        relation_uses[relation] -= 1
        chosen[index] = True
        num_triples -= 1
    return chosen
