"""Reproducible splits: by hash alone, whatever else there is; carving leaves nothing unseen."""

import hashlib
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.datasets.split import DEFAULT_SALT, carve, split_triples

Triple = tuple[int, int, int]

ENTITIES = tuple(f"entity {index}" for index in range(30))
RELATIONS = ("r", "s")
DENSE = [
    (head, relation, tail) for head in range(10) for relation in range(2) for tail in range(10)
]

triple_lists = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=60
)


def _split(triples: list[Triple], salt: str = DEFAULT_SALT) -> list[list[Triple]]:
    splits = split_triples(_array(triples), ENTITIES, RELATIONS, salt)
    return [[tuple(row) for row in split.tolist()] for split in splits]


def _array(triples: list[Triple]) -> np.ndarray:
    return np.array(triples, dtype=np.int64).reshape(-1, 3)


def _entities(triples: list[Triple]) -> set[int]:
    return {entity for head, _, tail in triples for entity in (head, tail)}


def _relations(triples: list[Triple]) -> set[int]:
    return {relation for _, relation, _ in triples}


def _place(triple: Triple, salt: str) -> float:
    """Where the hash of a triple lies, from 0 to 1."""
    head, relation, tail = triple
    line = f"{salt}\tentity {head}\t{'rs'[relation]}\tentity {tail}"
    return int.from_bytes(hashlib.sha256(line.encode()).digest()[:8]) / 2**64


@pytest.mark.parametrize("salt", ["mocme", "", "another"])
def test_a_triple_is_split_by_the_hash_of_salt_and_ids(salt: str) -> None:
    bounds = {0: (0.2, 1.0), 1: (0.1, 0.2), 2: (0.0, 0.1)}  # train, valid, test
    expected = [
        sorted(
            (it for it in DENSE if bounds[split][0] <= _place(it, salt) < bounds[split][1]),
            key=lambda it: _place(it, salt),
        )
        for split in bounds
    ]
    assert _split(DENSE, salt) == expected


def test_a_split_that_would_be_empty_is_filled_by_the_nearest_hashes() -> None:
    by_hash = sorted(DENSE, key=lambda it: _place(it, "mocme"))
    for few in (by_hash[:4], by_hash[-4:]):  # all of them test, all of them train
        assert all(_split(few))
    assert _split(by_hash[:4]) == [by_hash[3:4], by_hash[2:3], by_hash[:2]]
    assert _split(by_hash[-4:]) == [by_hash[-2:], by_hash[-3:-2], by_hash[-4:-3]]


def test_a_self_loop_counts_once_for_its_entity() -> None:
    relations = ("r", "s", "t", "u", "v")
    loops = [(20, relation, 20) for relation in range(5)]
    others = [(head, relation, 1) for head in range(3) for relation in range(5)]
    triples = _array(loops + others)
    left = triples[~carve(triples, ENTITIES, relations, len(triples))]
    assert (left[:, 0] == 20).sum() == 1


@pytest.mark.parametrize("triples", [[], [(0, 0, 1)], [(0, 0, 1), (2, 1, 3), (0, 0, 1)]])
def test_too_few_triples(triples: list[Triple]) -> None:
    found = len(set(triples))
    with pytest.raises(ValueError, match=f"^{found} distinct triples, too few for 3 splits$"):
        _split(triples)


@given(triple_lists, st.randoms())
@settings(max_examples=60, deadline=None)
def test_split_properties(triples: list[Triple], random: Random) -> None:
    if len(set(triples)) < 3:
        return
    train, valid, test = _split(triples)
    shuffled = triples * 2
    random.shuffle(shuffled)
    assert _split(shuffled) == [train, valid, test]
    assert sorted(train + valid + test) == sorted(set(triples))
    assert all((train, valid, test))


@given(triple_lists, st.randoms(), st.text())
@settings(max_examples=60, deadline=None)
def test_a_triple_keeps_its_split_whatever_is_added(
    added: list[Triple], random: Random, salt: str
) -> None:
    """Also where what is added names other entities and relations, listed before the old ones."""
    old = DENSE
    before = _split(old, salt)
    grown = [*old, *((20 + head, 2, tail) for head, _, tail in added), *added]
    random.shuffle(grown)
    entities, relations = ENTITIES[::-1], ("t", *RELATIONS[::-1])
    moved = [(29 - h, {0: 2, 1: 1, 2: 0}[r], 29 - t) for h, r, t in grown]
    after = split_triples(_array(moved), entities, relations, salt)
    named = [{(entities[h], relations[r], entities[t]) for h, r, t in it.tolist()} for it in after]
    for split, ids in zip(before, named, strict=True):
        assert {(ENTITIES[h], RELATIONS[r], ENTITIES[t]) for h, r, t in split} <= ids


@given(triple_lists, st.integers(-1, 20), st.randoms())
@settings(max_examples=60, deadline=None)
def test_carve_properties(triples: list[Triple], num_triples: int, random: Random) -> None:
    def carved(listed: list[Triple]) -> set[Triple]:
        mask = carve(_array(listed), ENTITIES, RELATIONS, num_triples)
        return {triple for triple, chosen in zip(listed, mask, strict=True) if chosen}

    listed = sorted(set(triples))
    shuffled = random.sample(listed, len(listed))
    chosen = carved(listed)
    left = [triple for triple in listed if triple not in chosen]
    assert carved(shuffled) == chosen
    assert len(chosen) <= max(num_triples, 0)
    assert _entities(left) == _entities(listed)
    assert _relations(left) == _relations(listed)
