"""What differs between two graphs is counted, whatever order their ids stand in."""

from dataclasses import replace

import numpy as np
import pytest

from storage.datasets.graph import Graph, Triples
from storage.datasets.graph_changes import graph_changes


def triples(*rows: tuple[int, int, int]) -> Triples:
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


GRAPH = Graph(
    ("a", "b", "c"),
    ("A", "B", "C"),
    ("likes", "knows"),
    triples((0, 0, 1), (1, 1, 2)),
    triples((0, 1, 2)),
    triples((2, 0, 0)),
)


def test_the_same_graph_has_no_changes() -> None:
    assert graph_changes(GRAPH, GRAPH) == []


def test_ids_in_another_order_are_the_same_triples() -> None:
    turned = Graph(
        ("c", "b", "a"),
        ("C", "B", "A"),
        ("likes", "knows"),
        triples((2, 0, 1), (1, 1, 0)),
        triples((2, 1, 0)),
        triples((0, 0, 2)),
    )
    assert graph_changes(GRAPH, turned) == ["entities in another order"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"train": triples((0, 0, 1), (1, 1, 2), (2, 1, 1))}, ["1 triple of train more"]),
        ({"train": triples((0, 0, 1))}, ["1 triple of train gone"]),
        (
            {"train": triples((0, 0, 1), (1, 1, 2), (1, 1, 2))},
            ["1 triple of train repeated more often"],
        ),
        (
            {"train": triples((1, 1, 2), (0, 0, 1))},
            ["triples of train in another order, or repeated otherwise"],
        ),
        (
            {"valid": triples(), "test": triples((2, 0, 0), (0, 1, 2))},
            ["1 triple of valid gone", "1 triple of test more"],
        ),
        ({"names": ("A", "Bee", "Sea")}, ["2 names changed"]),
        ({"split_by_hash": True}, ["splits made by mocme"]),
        ({"relations": ("likes", "knows", "eats")}, ["1 relation more"]),
        ({"negatives": triples((1, 0, 1))}, []),
        ({"kinds": (("x",), (), ())}, ["1 entity of other kinds"]),
        (
            {"uncertain": triples((0, 0, 1)), "confidences": np.array([0.5], dtype=np.float32)},
            ["confidences changed"],
        ),
    ],
)
def test_each_kind_of_change(changed: dict[str, object], expected: list[str]) -> None:
    assert graph_changes(GRAPH, replace(GRAPH, **changed)) == expected  # type: ignore[arg-type]


def test_entities_that_come_and_go_with_their_triples() -> None:
    other = replace(
        GRAPH,
        entities=("a", "b", "d", "e"),
        names=("A", "B", "D", "E"),
        train=triples((0, 0, 1), (1, 1, 2), (3, 1, 2)),
        valid=triples(),
        test=triples(),
    )
    assert graph_changes(GRAPH, other) == [
        "2 entities more",
        "1 entity gone",
        "2 triples of train more",
        "1 triple of train gone",
        "1 triple of valid gone",
        "1 triple of test gone",
    ]


def test_an_entity_more_is_of_no_other_kind_than_before() -> None:
    kinds = (("k",),) * GRAPH.num_entities
    before = replace(GRAPH, kinds=kinds)
    after = replace(
        before,
        entities=(*GRAPH.entities, "newcomer"),
        names=(*GRAPH.names, "newcomer"),
        kinds=(*kinds, ("other",)),
    )
    assert graph_changes(before, after) == ["1 entity more"]
