"""What is known beside an answer, read off a graph's triples."""

import itertools

import numpy as np
import pytest
import torch

from model.inputs import KnownTails, with_inverses
from model.prediction.known_context import MOST_LISTED, KnownContext
from model.probability.further_answers import FurtherAnswers, learn_participation
from storage.datasets.graph import Graph

NUM_ENTITIES, SIZE = 9, 2
CAPITAL, BORDERS = range(SIZE)
IS_SINGLE = np.array([True, False, True, False])


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A country has one capital, and a capital one country; but e0 is said to have two."""
    rows = [[0, CAPITAL, 5], [0, CAPITAL, 6], [1, CAPITAL, 7], [2, CAPITAL, 8]]
    rows += [[0, BORDERS, other] for other in range(1, 9)]
    triples = np.array(rows)
    ids = tuple(f"e{row}" for row in range(NUM_ENTITIES))
    return Graph(ids, ids, ("capital", "borders"), triples, triples[:0], triples[:0])


@pytest.fixture(scope="module")
def context(graph: Graph) -> KnownContext:
    known = KnownTails(with_inverses(graph.train, SIZE), 2 * SIZE, torch.device("cpu"))
    participation = learn_participation(graph, graph.train)
    further = FurtherAnswers(graph, graph.train, participation, IS_SINGLE, 0.2)
    return KnownContext(graph, known, further)


def test_known_answers_are_some_of_the_same_question(graph: Graph, context: KnownContext) -> None:
    both_ways = with_inverses(graph.train, SIZE).tolist()
    for entity, question in itertools.product(range(NUM_ENTITIES), range(2 * SIZE)):
        answers = sorted(
            tail for head, asked, tail in both_ways if (head, asked) == (entity, question)
        )
        expected = tuple(f"e{answer}" for answer in answers[:MOST_LISTED])
        assert context.answers(entity, question) == expected
    assert len(context.answers(0, BORDERS)) == MOST_LISTED < 8


def test_contradicted_are_the_other_answers_of_either_end(
    graph: Graph, context: KnownContext
) -> None:
    facts = [tuple(fact) for fact in graph.train.tolist()]
    for head, relation, tail in itertools.product(
        range(NUM_ENTITIES), range(SIZE), range(NUM_ENTITIES)
    ):
        expected = {
            (f"e{h}", graph.relations[r], f"e{t}")
            for h, r, t in facts
            if r == relation == CAPITAL and (h == head) != (t == tail)
        }
        forth = context.contradicted(head, relation, tail)
        back = context.contradicted(tail, relation + SIZE, head)
        assert set(forth) == set(back) == expected
        assert len(forth) == len(back) == len(expected)


def test_both_ends_may_be_contradicted(context: KnownContext) -> None:
    assert context.contradicted(1, CAPITAL, 8) == (
        ("e1", "capital", "e7"),
        ("e2", "capital", "e8"),
    )
    assert context.contradicted(1, CAPITAL, 7) == ()
    assert context.contradicted(4, BORDERS, 1) == ()
