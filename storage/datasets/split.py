"""Splitting triples reproducibly.

A triple's place follows from the SHA-256 of its ids, not from the order in which triples are listed
and not from a seed: the same triples give the same splits everywhere, and a few new triples move
few old ones. No triple is held out whose head, tail or relation would then be unseen in training.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import Triples

_HELD_OUT_FRACTION = 0.1  # of the triples to valid, and as many to test: 80/10/10


def split_triples(
    triples: Triples, entities: Sequence[str], relations: Sequence[str]
) -> tuple[Triples, Triples, Triples]:
    """Split triples 80/10/10 into train, valid and test, each in hash order.

    Duplicates are dropped. Valid and test are smaller where too few triples can be spared.

    Args:
        triples: Triples in any order. Shape: (num_triples, 3).
        entities: Entity ids by index.
        relations: Relation ids by index.

    Raises:
        ValueError: If not even one triple for each of valid and test can be spared.
    """
    digests = _digests(triples, entities, relations)
    order = _sorted_order(digests)
    repeats = (digests[order[1:]] == digests[order[:-1]]).all(axis=1)
    distinct = triples[np.delete(order, np.flatnonzero(repeats) + 1)]
    chosen = _spare(distinct, 2 * max(1, round(_HELD_OUT_FRACTION * len(distinct))))
    held_out = distinct[chosen]
    if len(held_out) < 2:
        raise ValueError(
            f"{len(distinct)} distinct triples, of which only {len(held_out)} can be held out "
            "without leaving an entity or relation unseen in train"
        )
    middle = len(held_out) // 2
    return distinct[~chosen], held_out[middle:], held_out[:middle]


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
    triples: Triples, entities: Sequence[str], relations: Sequence[str]
) -> NDArray[np.uint64]:
    """Return the SHA-256 of each triple's ids, joined with tabs. Shape: (num_triples, 4)."""
    digests = b"".join(
        hashlib.sha256(f"{entities[h]}\t{relations[r]}\t{entities[t]}".encode()).digest()
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
