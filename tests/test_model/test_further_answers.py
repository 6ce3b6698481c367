"""What is to be expected of questions: of those with answers, and of those without."""

from collections import Counter

import numpy as np
import pytest
import torch

from model.inputs import with_inverses
from model.probability.cardinality import MOST_KNOWN, fit_cardinality
from model.probability.further_answers import (
    WORTH_ASKING,
    FurtherAnswers,
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.participation import count_answers
from storage.datasets.graph import Graph
from storage.errors import MocmeError

NUM_PEOPLE, NUM_CLUBS = 150, 30
NUM_ENTITIES = NUM_PEOPLE + NUM_CLUBS
LIVES, MEMBER, NAMED = range(3)
SIZE = 3
MISSING = 0.2
OUTSIDER, FREE = NUM_ENTITIES - 1, 0
"""A club, which lives nowhere, and a person of whom it is not known where they live."""


def club_graph() -> Graph:
    """Each person but `FREE` lives at one place and is in clubs; all are named by one club."""
    generator = np.random.default_rng(0)
    people = np.arange(NUM_PEOPLE)
    clubs = NUM_PEOPLE + generator.integers(NUM_CLUBS - 1, size=(3, NUM_PEOPLE))
    lives = np.stack([people, np.full(NUM_PEOPLE, LIVES), clubs[0]], axis=1)[1:]
    member = [np.stack([people, np.full(NUM_PEOPLE, MEMBER), it], axis=1) for it in clubs[1:]]
    named = np.stack([np.full(NUM_PEOPLE, OUTSIDER), np.full(NUM_PEOPLE, NAMED), people], axis=1)
    triples = generator.permutation(np.unique(np.concatenate([lives, *member, named]), axis=0))
    ids = tuple(map(str, range(NUM_ENTITIES)))
    return Graph(ids, ids, ("lives", "member", "named"), triples[:-90], triples[-90:-40],
                 triples[-40:])  # fmt: skip


IS_SINGLE = np.array([True, False, False, False, False, True])


@pytest.fixture(scope="module")
def graph() -> Graph:
    return club_graph()


@pytest.fixture(scope="module")
def further(graph: Graph) -> FurtherAnswers:
    triples = known_triples(graph)
    return FurtherAnswers(graph, triples, learn_participation(graph, triples), IS_SINGLE, MISSING)


def num_known(graph: Graph) -> Counter[tuple[int, int]]:
    both_ways = with_inverses(known_triples(graph), SIZE).tolist()
    return Counter((entity, question) for entity, question, _ in both_ways)


def everyone(question: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(NUM_ENTITIES), torch.full((NUM_ENTITIES,), question)


def test_known_triples_are_those_of_all_splits_once(graph: Graph) -> None:
    splits = np.concatenate([graph.train, graph.valid, graph.test, graph.test])
    np.testing.assert_array_equal(known_triples(graph), np.unique(splits, axis=0))
    assert share_held_out(graph) == pytest.approx(90 / len(known_triples(graph)))


def test_of_answers_that_are_known_the_cardinality_tells(
    graph: Graph, further: FurtherAnswers
) -> None:
    counts = num_known(graph)
    expected = fit_cardinality(
        count_answers(known_triples(graph), NUM_ENTITIES, SIZE), MISSING, IS_SINGLE
    )
    for question in (LIVES, MEMBER, NAMED + SIZE):
        found = further.of(*everyone(question))
        for entity in range(NUM_ENTITIES):
            known = counts[entity, question]
            if known and not IS_SINGLE[question]:
                chance = expected.has_further[question, known - 1]
                assert float(found.chance[entity]) == pytest.approx(chance, abs=1e-8)
                number = max(chance, expected.num_further[question, known - 1])
                assert float(found.number[entity]) == pytest.approx(number, abs=1e-8)
            elif known:
                assert 0 < found.chance[entity] < 1e-8
                assert 0 < found.number[entity] < 1e-8


def test_of_very_many_answers_the_share_is_missing_that_the_graph_lacks(
    graph: Graph, further: FurtherAnswers
) -> None:
    counts = num_known(graph)
    assert counts[OUTSIDER, NAMED] == NUM_PEOPLE > MOST_KNOWN
    found = further.of(torch.tensor([OUTSIDER]), torch.tensor([NAMED]))
    assert float(found.chance) == 1
    assert float(found.number) == pytest.approx(NUM_PEOPLE * MISSING / (1 - MISSING))


def test_who_is_like_those_that_take_part_may_have_lost_every_answer(
    further: FurtherAnswers,
) -> None:
    found = further.of(torch.tensor([FREE, OUTSIDER]), torch.tensor([LIVES, LIVES]))
    person, club = found.chance.tolist()
    assert person > 5 * club
    assert person == found.number[0], "one answer at most"


def test_asked_is_what_may_have_a_further_answer(graph: Graph, further: FurtherAnswers) -> None:
    counts = num_known(graph)
    for question in range(2 * SIZE):
        chance = further.of(*everyone(question)).chance
        found = further.worth_asking(question).tolist()
        assert found == [it for it in range(NUM_ENTITIES) if chance[it] >= WORTH_ASKING]
        if IS_SINGLE[question]:
            assert not any(counts[entity, question] for entity in found)
        sensible = further.is_sensible(*everyone(question)).tolist()
        for entity in range(NUM_ENTITIES):
            assert sensible[entity] == (entity in found or counts[entity, question] > 0)
    people = further.worth_asking(LIVES)
    assert people[people < NUM_PEOPLE].tolist() == [FREE]


def test_closed_is_who_has_the_only_answer(graph: Graph, further: FurtherAnswers) -> None:
    counts = num_known(graph)
    for question in range(2 * SIZE):
        found = further.is_closed(question)
        if IS_SINGLE[question]:
            expected = [counts[entity, question] > 0 for entity in range(NUM_ENTITIES)]
            assert found is not None
            assert found.tolist() == expected
        else:
            assert found is None


def test_the_opposite_question(further: FurtherAnswers) -> None:
    assert [further.opposite(it) for it in range(2 * SIZE)] == [3, 4, 5, 0, 1, 2]
    assert further.num_questions == 2 * SIZE


def test_more_is_expected_where_more_is_missing(graph: Graph) -> None:
    triples = known_triples(graph)
    participation = learn_participation(graph, triples)
    little, much = (
        FurtherAnswers(graph, triples, participation, IS_SINGLE, share) for share in (0.05, 0.4)
    )
    for question in (LIVES, MEMBER, MEMBER + SIZE, NAMED):
        asked = everyone(question)
        assert little.of(*asked).number.sum() < much.of(*asked).number.sum()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_out_of_its_bounds_is_refused(graph: Graph, share: float) -> None:
    known = known_triples(graph)
    with pytest.raises(MocmeError, match=r"found missing_share .*; allowed: above 0 and below 1"):
        FurtherAnswers(graph, known, learn_participation(graph, known), IS_SINGLE, share)


def test_of_no_question(further: FurtherAnswers) -> None:
    nothing = torch.empty(0, dtype=torch.long)
    assert [len(it) for it in further.of(nothing, nothing)] == [0, 0]


@pytest.mark.parametrize(
    ("num_train", "num_others", "share"), [(0, 5, 0.9), (10, 0, 0.01), (8, 2, 0.2)]
)
def test_the_share_held_out_stays_within_bounds(
    num_train: int, num_others: int, share: float
) -> None:
    triples = np.stack([np.arange(10), np.zeros(10, dtype=np.int64), np.arange(10)], axis=1)
    ids = tuple(map(str, range(10)))
    train, test = triples[:num_train], triples[num_train : num_train + num_others]
    graph = Graph(ids, ids, ("r",), train, test[:0], test)
    assert share_held_out(graph) == pytest.approx(share)
