"""Completion against plain loops over all triples that the graph lacks."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_probabilities import (
    known_triples,
    plain_by_question,
    plain_features,
    plain_log_odds,
    plain_side,
)
from random_scoring import random_scoring

from model.prediction.completion import most_probable_missing
from model.prediction.predictor import Predictor
from model.probability.further_answers import WORTH_ASKING
from model.probability.limited_sums import at_most_one_each
from model.probability.triple_probabilities import CONTRADICTING, WORTH_A_LOOK, Unanswered
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Lines
from storage.datasets.graph import Graph
from storage.datasets.relation_types.stated import relation_types
from storage.datasets.relation_types.statement import StatedRelationType

NUM_ENTITIES, NUM_RELATIONS = 14, 3
LEAST_CONSIDERED = 50
Found = list[tuple[float, int, int]]


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Relation 0 among all, relation 1 from the first three to two others, relation 2 nowhere."""
    generator = np.random.default_rng(0)
    dense = generator.integers([NUM_ENTITIES, 1, NUM_ENTITIES], size=(60, 3))
    few = np.array([[0, 1, 3], [1, 1, 4], [2, 1, 4]])
    triples = generator.permutation(np.concatenate([dense, few]))
    ids = tuple(str(row) for row in range(NUM_ENTITIES))
    return Graph(
        ids,
        ids,
        ("a", "b", "c"),
        triples[:50],
        triples[50:57],
        triples[57:],
        negatives=np.array([[5, 0, 6], [4, 1, 3], [8, 2, 9]]),
    )


def unsure_scoring() -> BlockScoring:
    """Draw a scoring that is sure of nothing, so that no two probabilities are equal."""
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    return replace(scoring, block_weights=scoring.block_weights * 0.2)


def asked_of(graph: Graph, scoring: BlockScoring) -> Unanswered:
    """What may be asked, where relation 1 has one tail for a head."""
    types = relation_types(graph, {"b": StatedRelationType(single=True)})
    return Unanswered.of(scoring, graph, types, 0.3)


@pytest.fixture(scope="module")
def unanswered(graph: Graph) -> Unanswered:
    return asked_of(graph, unsure_scoring())


@pytest.fixture(scope="module")
def tables(graph: Graph, unanswered: Unanswered) -> np.ndarray:
    """Probabilities of all answers by each question alone. Shape: (2R, E, E)."""
    return plain_by_question(unanswered, graph, is_single={1})


def plain_considered(
    unanswered: Unanswered, tables: np.ndarray, relation: int, k: int, per_head: int | None
) -> list[tuple[int, int]]:
    """Return the pairs of head and tail that either question finds, as the definition reads."""
    pairs = set()
    for question in (relation, relation + NUM_RELATIONS):
        everyone = torch.arange(NUM_ENTITIES)
        further = unanswered.further.of(everyone, torch.full_like(everyone, question))
        found = [
            (float(tables[question, entity, answer]), entity, answer)
            for entity, answer in itertools.product(range(NUM_ENTITIES), repeat=2)
            if further.chance[entity] >= WORTH_ASKING
        ]
        if question != relation:
            found = [(value, answer, entity) for value, entity, answer in found]
        found = sorted((it for it in found if it[0] > CONTRADICTING), reverse=True)
        if per_head is not None:
            found = first_of_each_head(found, per_head)
        pairs |= {(head, tail) for _, head, tail in found[: max(2 * k, LEAST_CONSIDERED)]}
    return sorted(pairs)


def first_of_each_head(found: Found, per_head: int) -> Found:
    num_taken: Counter[int] = Counter()
    kept = []
    for value, head, tail in found:
        num_taken[head] += 1
        if num_taken[head] <= per_head:
            kept.append((value, head, tail))
    return kept


def plain_rivals(table: np.ndarray, heads: set[int]) -> set[tuple[int, int]]:
    """Return the best answers of heads to a question of one answer, as the definition reads."""
    return {
        (head, tail)
        for head in heads
        for tail in range(NUM_ENTITIES)
        if table[head, tail] >= WORTH_A_LOOK
    }


def plain_missing(
    unanswered: Unanswered,
    tables: np.ndarray,
    relation: int,
    k: int,
    per_head: int | None = None,
) -> Found:
    """Return the k most probable missing triples, as the definition reads."""
    pairs = plain_considered(unanswered, tables, relation, k, per_head)
    if relation == 1:
        pairs = sorted({*pairs, *plain_rivals(tables[1], {head for head, _ in pairs})})
    opposite, lines = relation + NUM_RELATIONS, unanswered.scoring.calibration.lines
    sides = [
        (
            plain_side(unanswered, head, relation, tables[relation, head, tail]),
            plain_side(unanswered, tail, opposite, tables[opposite, tail, head]),
        )
        for head, tail in pairs
    ]
    odds = [plain_log_odds(plain_features(*both), lines, relation) for both in sides]
    values = torch.tensor(odds, dtype=torch.double).sigmoid()
    if relation == 1:
        heads = torch.tensor([[head] for head, _ in pairs])
        values = at_most_one_each(values, heads, torch.ones(len(pairs), dtype=torch.bool))
    found = sorted(
        ((value, *pair) for value, pair in zip(values.tolist(), pairs, strict=True)), reverse=True
    )
    return (found if per_head is None else first_of_each_head(found, per_head))[:k]


def assert_same(found: Found, expected: Found) -> None:
    assert [pair for _, *pair in found] == [pair for _, *pair in expected]
    np.testing.assert_allclose([it[0] for it in found], [it[0] for it in expected], rtol=1e-4)


@pytest.mark.parametrize("relation", [0, 1, 2])
@pytest.mark.parametrize("k", [1, 7, 500])
@pytest.mark.parametrize("chunk_size", [3, 512])
def test_is_the_definition(
    unanswered: Unanswered, tables: np.ndarray, relation: int, k: int, chunk_size: int
) -> None:
    found = most_probable_missing(unanswered, relation, k, chunk_size)
    assert_same(found, plain_missing(unanswered, tables, relation, k))


@pytest.mark.parametrize("relation", [0, 1, 2])
@pytest.mark.parametrize("per_head", [1, 2, 50])
@pytest.mark.parametrize(("k", "chunk_size"), [(1, 3), (9, 3), (9, 512), (500, 5)])
def test_no_more_of_a_head_is_the_definition(
    unanswered: Unanswered,
    tables: np.ndarray,
    relation: int,
    per_head: int,
    k: int,
    chunk_size: int,
) -> None:
    """The most probable ones of all, one after another, if their head has not had its number."""
    found = most_probable_missing(unanswered, relation, k, chunk_size, per_head=per_head)
    assert max(Counter(head for _, head, _ in found).values()) <= per_head
    assert_same(found, plain_missing(unanswered, tables, relation, k, per_head))


def test_nothing_known_or_wrong_is_found_nor_what_contradicts(
    graph: Graph, unanswered: Unanswered
) -> None:
    known = known_triples(graph)
    left_out = known | set(map(tuple, graph.negatives.tolist()))
    for relation in range(NUM_RELATIONS):
        found = most_probable_missing(unanswered, relation, 500)
        assert found
        assert not left_out & {(head, relation, tail) for _, head, tail in found}
        assert all(head != tail for _, head, tail in found)
    heads = {head for _, head, _ in most_probable_missing(unanswered, 1, 500)}
    assert not heads & {0, 1, 2}, "their only answers are known"
    assert heads


def test_the_answers_of_a_single_valued_relation_sum_to_one_at_most(graph: Graph) -> None:
    scoring = unsure_scoring()
    sure = Lines.identity(NUM_RELATIONS)
    sure.weights[:, 0] = 20.0  # all of it is held to be true
    scoring = replace(scoring, calibration=replace(scoring.calibration, lines=sure))
    sums: Counter[int] = Counter()
    for probability, head, _ in most_probable_missing(asked_of(graph, scoring), 1, 500):
        sums[head] += probability
    assert max(sums.values()) == pytest.approx(1)


def test_what_is_next_to_impossible_is_told_apart_from_nothing(graph: Graph) -> None:
    """Scores may lie thousands apart, and whole rows of probabilities are 0 but for one."""
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    certain = replace(scoring, block_weights=scoring.block_weights * 1e4)
    found = most_probable_missing(asked_of(graph, certain), 0, 500)
    probabilities = [it[0] for it in found]
    assert 0 < len(found) <= 2 * NUM_ENTITIES, "one to a question"
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < probabilities[-1] <= probabilities[0] <= 1


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

    def test_the_probability_is_that_of_the_answer_to_its_question(
        self, predictor: Predictor
    ) -> None:
        size = predictor.graph.num_entities
        for triple in predictor.missing_triples(k=3):
            by_tail = predictor.answers(head=triple.head, relation=triple.relation, k=size)
            by_head = predictor.answers(tail=triple.tail, relation=triple.relation, k=size)
            (forth,) = (a.probability for a in by_tail if a.entity == triple.tail)
            (back,) = (a.probability for a in by_head if a.entity == triple.head)
            if forth >= 2 * WORTH_A_LOOK:  # else its own question has not looked at the other
                assert triple.probability == pytest.approx(forth, rel=0.15), "with fewer rivals"
            if back >= 2 * WORTH_A_LOOK:
                assert triple.probability == pytest.approx(back, rel=0.15), "with fewer rivals"
            assert sum(triple.modality_weights.values()) == pytest.approx(1, abs=1e-5)

    def test_chosen_relations_in_the_order_asked_for(self, predictor: Predictor) -> None:
        chosen = ["has maker", "has colour"]
        found = [triple.relation for triple in predictor.missing_triples(chosen, k=2)]
        assert found == ["has maker", "has maker", "has colour", "has colour"]
        assert list(predictor.missing_triples([], k=2)) == []
