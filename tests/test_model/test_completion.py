"""Completion against a plain loop over all triples that the graph lacks."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_scoring import random_scoring

from model.evaluation.ranking import known_answers
from model.prediction.completion import MIN_SHARED, expected_questions, most_probable_missing
from model.prediction.predictor import Predictor
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import SPLITS, Graph

NUM_ENTITIES, NUM_RELATIONS = 14, 3


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Relation 0 among all, relation 1 among the first five, relation 2 nowhere."""
    generator = np.random.default_rng(0)
    dense = generator.integers([NUM_ENTITIES, 1, NUM_ENTITIES], size=(60, 3))
    few = generator.integers([3, 1, 2], size=(6, 3)) + np.array([0, 1, 3])
    triples = generator.permutation(np.concatenate([dense, few]))
    ids = tuple(str(row) for row in range(NUM_ENTITIES))
    return Graph(ids, ids, ("a", "b", "c"), triples[:50], triples[50:58], triples[58:])


def unsure_scoring() -> BlockScoring:
    """Draw a scoring that is sure of nothing, so that no two chances are equal."""
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    return replace(scoring, block_weights=scoring.block_weights * 0.2)


def known_triples(graph: Graph) -> set[tuple[int, ...]]:
    return {tuple(t) for split in SPLITS for t in graph.split(split).tolist()}


def plain_expected(graph: Graph) -> np.ndarray:
    """Return which questions are to be asked of whom, as the definition reads."""
    parts: dict[int, set[int]] = {index: set() for index in range(2 * NUM_RELATIONS)}
    for head, relation, tail in known_triples(graph):
        parts[relation].add(head)
        parts[relation + NUM_RELATIONS].add(tail)
    found = np.zeros((NUM_ENTITIES, 2 * NUM_RELATIONS), dtype=bool)
    for there, members in parts.items():
        for here, others in parts.items():
            if members and len(members & others) / len(members) >= MIN_SHARED:
                found[list(members), here] = True
        assert not members or found[list(members), there].all()
    return found


def plain_missing(graph: Graph, relation: int, k: int) -> list[tuple[float, int, int]]:
    """Return the k most probable missing triples, as the definition reads."""
    scoring, expected = unsure_scoring(), plain_expected(graph)
    chances = {}
    for index in (relation, relation + NUM_RELATIONS):
        for asker in range(NUM_ENTITIES):
            heads, relations = torch.tensor([asker]), torch.tensor([index])
            found = scoring.log_odds(heads, relations).sigmoid()
            for answer, chance in enumerate(found[0].tolist()):
                pair = (asker, answer) if index == relation else (answer, asker)
                if expected[asker, index] and asker != answer:
                    chances[pair] = max(chance, chances.get(pair, 0.0))
    known = known_triples(graph)
    missing = [
        (chance, head, tail)
        for (head, tail), chance in chances.items()
        if (head, relation, tail) not in known
    ]
    return sorted(missing, reverse=True)[:k]


def test_expected_questions(graph: Graph) -> None:
    found = expected_questions(graph)
    np.testing.assert_array_equal(found, plain_expected(graph))
    assert not found[:, [2, 2 + NUM_RELATIONS]].any(), "nobody takes part in relation 2"
    assert 0 < found[:, 1].sum() < NUM_ENTITIES


@pytest.mark.parametrize("relation", [0, 1, 2])
@pytest.mark.parametrize("k", [1, 7, 500])
@pytest.mark.parametrize("chunk_size", [3, 512])
def test_is_the_definition(graph: Graph, relation: int, k: int, chunk_size: int) -> None:
    scoring = unsure_scoring()
    known = known_answers(graph, torch.device("cpu"))
    found = most_probable_missing(
        scoring, expected_questions(graph), known, relation, k, chunk_size
    )
    expected = plain_missing(graph, relation, k)
    assert [(head, tail) for _, head, tail in found] == [(h, t) for _, h, t in expected]
    np.testing.assert_allclose([c for c, *_ in found], [c for c, *_ in expected], rtol=1e-4)


@pytest.mark.parametrize("relation", [0, 1, 2])
@pytest.mark.parametrize("per_head", [1, 2, 50])
@pytest.mark.parametrize(("k", "chunk_size"), [(1, 3), (9, 3), (9, 512), (500, 5)])
def test_no_more_of_a_head_is_the_definition(
    graph: Graph, relation: int, per_head: int, k: int, chunk_size: int
) -> None:
    """The most probable ones of all, one after another, if their head has not had its number."""
    num_taken: Counter[int] = Counter()
    expected = []
    for _, head, tail in plain_missing(graph, relation, 10_000):
        if num_taken[head] < per_head:
            num_taken[head] += 1
            expected.append((head, tail))
    found = most_probable_missing(
        unsure_scoring(),
        expected_questions(graph),
        known_answers(graph, torch.device("cpu")),
        relation,
        k,
        chunk_size,
        per_head=per_head,
    )
    assert [(head, tail) for _, head, tail in found] == expected[:k]


def test_what_is_next_to_impossible_has_no_chance(graph: Graph) -> None:
    """Log-odds may be thousands below zero."""
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    certain = replace(scoring, block_weights=scoring.block_weights * 1e4)
    known = known_answers(graph, torch.device("cpu"))
    found = most_probable_missing(certain, expected_questions(graph), known, 0, 500)
    chances = [chance for chance, *_ in found]
    assert (chances[0], chances[-1]) == (1.0, 0.0)


class TestOfARun:
    @pytest.fixture(scope="class")
    def predictor(self, finished_run: Path) -> Predictor:
        return Predictor(finished_run)

    def test_missing_sorted_and_at_most_k(self, predictor: Predictor) -> None:
        graph = predictor.graph
        known = {
            (graph.entities[h], graph.relations[r], graph.entities[t])
            for h, r, t in known_triples(graph)
        }
        found = list(predictor.missing_triples(k=6))
        triples = [(triple.head, triple.relation, triple.tail) for triple in found]
        assert len(set(triples)) == len(triples)
        assert not known & set(triples)
        assert Counter(relation for _, relation, _ in triples) == dict.fromkeys(graph.relations, 6)
        for name in graph.relations:
            chances = [triple.probability for triple in found if triple.relation == name]
            assert chances == sorted(chances, reverse=True)
            assert 0 < chances[-1] <= chances[0] <= 1

    def test_limits_leave_out_and_the_rest_is_as_it_was(self, predictor: Predictor) -> None:
        name = predictor.graph.relations[0]
        everything = list(predictor.missing_triples([name], k=40))
        least = everything[7].probability
        sure = list(predictor.missing_triples([name], k=40, min_probability=least))
        assert sure == [it for it in everything if it.probability >= least]
        one_each = list(predictor.missing_triples([name], k=10, per_head=1))
        assert len({it.head for it in one_each}) == len(one_each) == 10
        assert predictor.complete([name], 10, per_head=1)["head"].tolist() == [
            it.head for it in one_each
        ]

    def test_the_chance_is_that_of_the_more_certain_question(self, predictor: Predictor) -> None:
        size = predictor.graph.num_entities
        for triple in predictor.missing_triples(k=3):
            by_tail = predictor.answers(head=triple.head, relation=triple.relation, k=size)
            by_head = predictor.answers(tail=triple.tail, relation=triple.relation, k=size)
            chances = [a.probability for a in by_tail if a.entity == triple.tail]
            chances += [a.probability for a in by_head if a.entity == triple.head]
            assert triple.probability == pytest.approx(max(chances), rel=1e-4)
            assert sum(triple.modality_weights.values()) == pytest.approx(1, abs=1e-5)

    def test_chosen_relations_in_the_order_asked_for(self, predictor: Predictor) -> None:
        chosen = ["has maker", "has colour"]
        found = [triple.relation for triple in predictor.missing_triples(chosen, k=2)]
        assert found == ["has maker", "has maker", "has colour", "has colour"]
        assert list(predictor.missing_triples([], k=2)) == []
