"""Reproducible splits: sizes, independence of order, nothing left unseen."""

import hashlib
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.datasets.split import carve, split_triples

Triple = tuple[int, int, int]

ENTITIES = tuple(f"entity {index}" for index in range(30))
RELATIONS = ("r", "s")
DENSE = [
    (head, relation, tail) for head in range(10) for relation in range(2) for tail in range(10)
]

triple_lists = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=60
)


def _split(triples: list[Triple]) -> list[list[Triple]]:
    splits = split_triples(_array(triples), ENTITIES, RELATIONS)
    return [[tuple(row) for row in split.tolist()] for split in splits]


def _array(triples: list[Triple]) -> np.ndarray:
    return np.array(triples, dtype=np.int64).reshape(-1, 3)


def _entities(triples: list[Triple]) -> set[int]:
    return {entity for head, _, tail in triples for entity in (head, tail)}


def _relations(triples: list[Triple]) -> set[int]:
    return {relation for _, relation, _ in triples}


def test_dense_graph_is_split_80_10_10_by_sha256() -> None:
    def sha256(triple: Triple) -> str:
        head, relation, tail = triple
        line = f"entity {head}\t{'rs'[relation]}\tentity {tail}"
        return hashlib.sha256(line.encode()).hexdigest()

    by_hash = sorted(DENSE, key=sha256)
    assert _split(DENSE) == [by_hash[40:], by_hash[20:40], by_hash[:20]]


def test_a_new_triple_moves_few_old_ones() -> None:
    before = _split(DENSE)
    after = _split([*DENSE, (20, 0, 1), (20, 0, 2)])
    for old, new in zip(before, after, strict=True):
        assert len(set(old) - set(new)) <= 2


def test_only_triples_that_can_be_spared_are_held_out() -> None:
    star = [(0, 0, leaf) for leaf in range(3, 23)]
    doubled = [(0, 0, 1), (0, 1, 1), (0, 0, 2), (0, 1, 2)]
    train, valid, test = _split(star + doubled)
    assert set(star) <= set(train)
    assert (len(valid), len(test)) == (1, 1)
    assert {valid[0][2], test[0][2]} == {1, 2}


def test_a_self_loop_counts_once_for_its_entity() -> None:
    relations = ("r", "s", "t", "u", "v")
    loops = [(20, relation, 20) for relation in range(5)]
    others = [(head, relation, 1) for head in range(3) for relation in range(5)]
    triples = _array(loops + others)
    left = triples[~carve(triples, ENTITIES, relations, len(triples))]
    assert (left[:, 0] == 20).sum() == 1


@pytest.mark.parametrize("triples", [[], [(0, 0, 1)], [(0, 0, 1), (2, 1, 3)]])
def test_too_few_triples(triples: list[Triple]) -> None:
    with pytest.raises(ValueError, match=f"{len(triples)} distinct triples, of which only 0"):
        _split(triples)


@given(triple_lists, st.randoms())
@settings(max_examples=60, deadline=None)
def test_split_properties(triples: list[Triple], random: Random) -> None:
    try:
        train, valid, test = _split(triples)
    except ValueError:
        return
    shuffled = triples * 2
    random.shuffle(shuffled)
    assert _split(shuffled) == [train, valid, test]
    assert sorted(train + valid + test) == sorted(set(triples))
    assert _entities(train) == _entities(triples)
    assert _relations(train) == _relations(triples)
    assert 1 <= len(test) <= len(valid) <= len(test) + 1


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
