"""The split audit: figures worked out by hand, figures known of the published graphs."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.datasets.alike import find_lookalikes, rows_of
from storage.datasets.audit import (
    RELATION_HEADER,
    SUMMARY_HEADER,
    LeakCounts,
    RelationCounts,
    SplitCounts,
    audit,
    clean_test_mask,
    triple_keys,
)
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import SPLITS, Graph

ENTITIES = tuple("abcdef")
RELATIONS = ("q", "r", "s")


def graph_of(train: str, valid: str, test: str) -> Graph:
    """Make a graph of triples such as `arb brc`."""

    def rows(split: str) -> np.ndarray:
        triples = [
            (ENTITIES.index(h), RELATIONS.index(r), ENTITIES.index(t)) for h, r, t in split.split()
        ]
        return np.array(triples, dtype=np.int64).reshape(-1, 3)

    return Graph(ENTITIES, ENTITIES, RELATIONS, rows(train), rows(valid), rows(test))


LEAKING = graph_of(
    train="arb brc arb csc dra",
    valid="arb bra bsa bsa erb",  # arb is in train, its reverse bra not; e is unseen
    test="brc bsa bsa ard fqf asb",  # brc is in train, bsa in valid; f and q are unseen
)


def test_counts_within_the_splits() -> None:
    found = audit(LEAKING)
    assert found.splits == {
        "train": SplitCounts(
            lines=5,
            distinct=4,
            duplicates=1,
            clean=2,
            unseen_entity=0,
            unseen_relation=0,
            self_loops=1,
        ),
        "valid": SplitCounts(
            lines=5,
            distinct=4,
            duplicates=1,
            clean=2,
            unseen_entity=1,
            unseen_relation=0,
            self_loops=0,
        ),
        "test": SplitCounts(
            lines=6,
            distinct=5,
            duplicates=1,
            clean=3,
            unseen_entity=1,
            unseen_relation=1,
            self_loops=1,
        ),
    }


def test_leaks_between_the_splits() -> None:
    assert audit(LEAKING).leaks == {
        ("valid", "train"): LeakCounts(lines=1, distinct=1, reversed_lines=1),
        ("test", "train"): LeakCounts(lines=1, distinct=1, reversed_lines=1),
        ("test", "valid"): LeakCounts(lines=2, distinct=1, reversed_lines=1),
    }


def test_counts_by_relation() -> None:
    assert audit(LEAKING).relations == {
        "q": RelationCounts(train=0, valid=0, test=1, leaking_test=0, unseen_test=1),
        "r": RelationCounts(train=4, valid=3, test=2, leaking_test=1, unseen_test=0),
        "s": RelationCounts(train=1, valid=2, test=3, leaking_test=2, unseen_test=0),
    }


def test_clean_test_lines_are_the_first_ones_in_no_other_split() -> None:
    np.testing.assert_array_equal(clean_test_mask(LEAKING), [0, 0, 0, 1, 1, 1])
    repeated = graph_of(train="arb", valid="bra", test="asb arb asb bra")
    np.testing.assert_array_equal(clean_test_mask(repeated), [1, 0, 0, 0])


@pytest.mark.parametrize(
    ("train", "valid", "test", "is_clean"),
    [
        ("arb brc", "bra", "ard", True),
        ("arb arb", "bra", "ard", False),
        ("arb", "bra bra", "ard", False),
        ("arb", "bra", "ard ard", False),
        ("arb", "arb", "ard", False),
        ("arb", "bra", "arb", False),
        ("arb", "bra", "bra", False),
    ],
)
def test_is_clean(train: str, valid: str, test: str, is_clean: bool) -> None:
    assert audit(graph_of(train, valid, test)).is_clean is is_clean


@pytest.mark.parametrize(
    ("num_valid", "num_clean", "is_usable"),
    [
        (9904, 73, False),
        (1000, 99, False),
        (1000, 100, True),
        (5000, 499, False),
        (5000, 500, True),
        (60, 29, False),
        (60, 30, True),
        (1, 0, False),
        (1, 1, True),
    ],
)
def test_valid_is_usable(num_valid: int, num_clean: int, is_usable: bool) -> None:
    ids = tuple(map(str, range(10_000)))
    triples = np.stack([np.arange(10_000), np.zeros(10_000, int), np.arange(10_000)], axis=1)
    graph = Graph(ids, ids, ("r",), triples[num_clean:], triples[:num_valid], triples[:0])
    assert audit(graph).valid_is_usable is is_usable


def test_json_holds_every_count() -> None:
    found = json.loads(json.dumps(audit(LEAKING).to_dict()))
    assert found["splits"]["test"]["clean"] == 3
    assert found["leaks"]["test_in_valid"] == {"lines": 2, "distinct": 1, "reversed_lines": 1}
    assert found["relations"]["s"]["leaking_test"] == 2
    assert (found["is_clean"], found["valid_is_usable"]) == (False, True)


def test_tables_have_a_cell_under_each_header() -> None:
    found = audit(LEAKING)
    summary = found.summary_rows()
    assert {len(row) for row in summary} == {len(SUMMARY_HEADER)}
    assert ("distinct triples", "4", "4", "5") in summary
    assert ("lines that stand in train", "-", "1", "1") in summary
    assert ("lines that stand in valid", "-", "-", "2") in summary
    assert found.relation_rows()[1] == ("r", "4", "3", "2", "1", "0")
    assert len(RELATION_HEADER) == 6


def test_too_many_triples_for_a_key_are_refused() -> None:
    entities = range(2_000_000_000)  # in place of the tuple, which would not fit into memory
    huge = Graph(entities, entities, RELATIONS, *[np.empty((0, 3), np.int64)] * 3)
    with pytest.raises(OverflowError, match="2,000,000,000 entities and 3 relations"):
        triple_keys(huge, huge.train)


splits = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=30
)


@given(splits, splits, splits)
@settings(max_examples=60, deadline=None)
def test_counts_equal_those_of_plain_sets(
    train: list[tuple[int, int, int]],
    valid: list[tuple[int, int, int]],
    test: list[tuple[int, int, int]],
) -> None:
    graph = Graph(ENTITIES, ENTITIES, RELATIONS, *map(np.array, (train, valid, test)))
    found = audit(graph)
    seen = {entity for head, _, tail in train for entity in (head, tail)}
    assert found.splits["test"].unseen_entity == sum(not {h, t} <= seen for h, _, t in test)
    assert found.splits["valid"].clean == len(set(valid) - set(train) - set(test))
    assert found.splits["test"].clean == len(set(test) - set(train) - set(valid))
    assert found.leaks["test", "train"].lines == sum(triple in train for triple in test)
    assert found.leaks["test", "valid"].distinct == len(set(test) & set(valid))
    assert found.leaks["valid", "train"].reversed_lines == sum(
        h != t and (t, r, h) in train for h, r, t in valid
    )
    assert clean_test_mask(graph).sum() == found.splits["test"].clean
    assert sum(counts.leaking_test for counts in found.relations.values()) == sum(
        triple in train or triple in valid for triple in test
    )


PUBLISHED = {
    # duplicates of (train, valid, test), clean of (valid, test), test lines in (train, valid),
    # distinct test in (train, valid), valid lines in train, unseen-entity lines of (valid, test)
    "DB15K": ((0, 2423, 0), (73, 9078), (0, 824), (0, 824), 8719, (3, 77), False),
    "MKG-W": ((0, 0, 0), (4276, 4274), (0, 0), (0, 0), 0, (333, 306), True),
    "MKG-Y": ((0, 0, 0), (2665, 2663), (0, 0), (0, 0), 0, (400, 388), True),
    "KVC16K": ((171, 3, 2), (22485, 22470), (48, 5), (48, 5), 30, (5, 13), True),
    "TIVA": ((8419, 87, 94), (86, 90), (1666, 156), (1664, 154), 1676, (316, 326), False),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_figures(benchmarks: Path, name: str) -> None:
    found = audit(read_dataset(benchmarks / name).graph)
    train, valid, test = (found.splits[split] for split in SPLITS)
    in_train, in_valid = found.leaks["test", "train"], found.leaks["test", "valid"]
    assert PUBLISHED[name] == (
        (train.duplicates, valid.duplicates, test.duplicates),
        (valid.clean, test.clean),
        (in_train.lines, in_valid.lines),
        (in_train.distinct, in_valid.distinct),
        found.leaks["valid", "train"].lines,
        (valid.unseen_entity, test.unseen_entity),
        found.valid_is_usable,
    )
    if name == "TIVA":
        assert test.distinct == 1906
    if name == "DB15K":
        assert valid.lines == 9904


def test_ids_that_look_alike_are_named() -> None:
    triples = np.array([[0, 0, 1], [1, 1, 2]])
    entities, relations = ("café", "cafe\u0301", "x"), ("likes", "likes ")
    found = find_lookalikes(Graph(entities, entities, relations, triples, triples, triples))
    assert rows_of(found) == [
        ("entities", "'café'", "'cafe\u0301'", "U+00E9 against U+0065 U+0301"),
        ("relations", "'likes'", "'likes '", "nothing against U+0020"),
    ]
    assert found == {
        "entities": [("café", "cafe\u0301")],
        "relations": [("likes", "likes ")],
    }
    assert rows_of(find_lookalikes(LEAKING)) == []
