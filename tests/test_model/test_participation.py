"""Who takes part in what, where that follows from planted types."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from model.inputs import with_inverses
from model.probability.further_answers import learn_participation
from model.probability.participation import (
    Participation,
    count_answers,
    features_of,
    fit_participation,
    kind_features,
)
from storage.datasets.graph import Graph

NUM_PEOPLE, NUM_TOWNS = 200, 20
NUM_ENTITIES = NUM_PEOPLE + NUM_TOWNS
LIVES_IN, WORKS_IN, TWIN_OF, BORN_IN = range(4)
NUM_RELATIONS = 4


def typed_graph(*, with_kinds: bool) -> Graph:
    """People live, work and are born in towns, nine in ten as is known; towns have twins."""
    generator = np.random.default_rng(0)
    people, towns = np.arange(NUM_PEOPLE), NUM_PEOPLE + np.arange(NUM_TOWNS)
    parts = [
        np.stack(
            [
                heads := members[generator.random(len(members)) < 0.9],
                np.full(len(heads), relation),
                generator.choice(towns, len(heads)),
            ],
            axis=1,
        )
        for relation, members in enumerate((people, people, towns, people))
    ]
    triples = np.unique(np.concatenate(parts), axis=0)
    ids = tuple(map(str, range(NUM_ENTITIES)))
    kinds = (*(("person",),) * NUM_PEOPLE, *(("town", "place", "town"),) * NUM_TOWNS)
    relations = ("lives in", "works in", "twin of", "born in")
    none = triples[:0]
    return Graph(ids, ids, relations, triples, none, none, kinds=kinds if with_kinds else ())


def odds(graph: Graph, question: int) -> np.ndarray:
    """Odds of all entities to take part. Shape: (E,)."""
    classes = learn_participation(graph, graph.train)
    counts = count_answers(graph.train, graph.num_entities, graph.num_relations)
    features = features_of(counts, kind_features(graph))
    return odds_by(features, classes, np.full(graph.num_entities, question))


def odds_by(features: sparse.csr_array, classes: torch.Tensor, asked: np.ndarray) -> np.ndarray:
    chances = Participation(features, classes).chances(np.arange(len(asked)), asked)
    return chances / (1 - chances)


def test_answers_are_counted_both_ways() -> None:
    triples = np.unique(np.random.default_rng(1).integers([7, 3, 7], size=(40, 3)), axis=0)
    found = count_answers(triples, 7, 3).toarray()
    expected = np.zeros((7, 6), dtype=int)
    for entity, question, _ in with_inverses(triples, 3).tolist():
        expected[entity, question] += 1
    np.testing.assert_array_equal(found, expected)


def test_kinds_are_columns_each_once() -> None:
    found = kind_features(typed_graph(with_kinds=True)).toarray()
    assert found.shape == (NUM_ENTITIES, 3)
    np.testing.assert_array_equal(found.sum(1), [1] * NUM_PEOPLE + [2] * NUM_TOWNS)
    assert kind_features(typed_graph(with_kinds=False)).shape == (NUM_ENTITIES, 0)


@pytest.mark.parametrize("with_kinds", [False, True])
@pytest.mark.parametrize("question", [LIVES_IN, WORKS_IN, BORN_IN])
def test_planted_types_are_told(question: int, with_kinds: bool) -> None:
    """Most of a type do, so one of it that is not known to is likely to; no other is."""
    found = odds(typed_graph(with_kinds=with_kinds), question)
    probabilities = found / (1 + found)
    assert np.median(probabilities[:NUM_PEOPLE]) == pytest.approx(0.9, abs=0.08)
    assert probabilities[NUM_PEOPLE:].max() < 0.15


def test_a_kind_tells_of_who_has_no_fact() -> None:
    """Without kinds, one of whom nothing is known is like anybody."""
    person, town = 0, NUM_ENTITIES - 1
    for with_kinds in (False, True):
        graph = typed_graph(with_kinds=with_kinds)
        is_theirs = np.isin(graph.train[:, [0, 2]], [person, town]).any(axis=1)
        found = odds(replace(graph, train=graph.train[~is_theirs]), LIVES_IN)
        if with_kinds:
            assert found[person] > 5 * found[town]
        else:
            assert found[person] == found[town]


def test_an_entitys_own_part_says_nothing_of_it() -> None:
    """The odds of the same entity with and without its part are the same."""
    graph = typed_graph(with_kinds=True)
    classes = learn_participation(graph, graph.train)
    counts = count_answers(graph.train, NUM_ENTITIES, NUM_RELATIONS)
    without = counts.tolil()
    without[:, LIVES_IN] = 0
    asked = np.full(NUM_ENTITIES, LIVES_IN)
    kinds = kind_features(graph)
    one, other = (
        odds_by(features_of(it.tocsr(), kinds), classes, asked) for it in (counts, without)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


NO_KINDS = sparse.csr_array((5, 0))


def test_many_answers_tell_what_one_does() -> None:
    counts = count_answers(np.array([[0, 0, 1], [0, 0, 2], [1, 0, 2]]), 5, 1)
    features = features_of(counts, NO_KINDS).toarray()
    np.testing.assert_array_equal(features[:3], [[1, 0], [1, 1], [0, 1]])
    assert counts.toarray()[0, 0] == 2, "are counted as before"


def test_fits_where_nobody_takes_part() -> None:
    features = features_of(count_answers(np.empty((0, 3), dtype=np.int64), 5, 2), NO_KINDS)
    classes = fit_participation(features)
    assert classes.shape == (1, 5)
    assert (odds_by(features, classes, np.arange(5) % 4) < 0.05).all()
