"""Filtered ranks against a plain loop over triples, ties and undefined scores included."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_scoring import random_scoring

from model.evaluation.ranking import known_answers, rank, rank_metrics
from model.scorers import SCORERS
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import SPLITS, Graph, Triples

CPU = torch.device("cpu")
NUM_ENTITIES, NUM_RELATIONS = 20, 3


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A dense graph at random, with duplicates, leaks and self-loops."""
    generator = np.random.default_rng(0)
    sizes = [NUM_ENTITIES, NUM_RELATIONS, NUM_ENTITIES]
    splits = [generator.integers(sizes, size=(count, 3)) for count in (150, 40, 60)]
    splits[2][:5] = splits[0][:5]
    ids = tuple(str(row) for row in range(NUM_ENTITIES))
    return Graph(ids, ids, ("a", "b", "c"), *splits)


def plain_rank(scoring: BlockScoring, graph: Graph, question: list[int]) -> float:
    """Rank one question's answer as the definition reads."""
    head, relation, answer = question
    scores = scoring.scores(torch.tensor([head]), torch.tensor([relation]))[0].tolist()
    true = set()
    for split in SPLITS:
        for h, r, t in graph.split(split).tolist():
            true |= {(h, r, t), (t, r + NUM_RELATIONS, h)}
    rivals = [
        score
        for entity, score in enumerate(scores)
        if entity != answer and (head, relation, entity) not in true
    ]
    if scores[answer] != scores[answer]:
        return float(NUM_ENTITIES)
    better = sum(score > scores[answer] for score in rivals)
    equal = sum(score == scores[answer] for score in rivals)
    return 1 + better + equal / 2


def plain_ranks(scoring: BlockScoring, graph: Graph, triples: Triples) -> list[list[float]]:
    """Return the ranks of tails, and of heads."""
    tails = [plain_rank(scoring, graph, triple) for triple in triples.tolist()]
    heads = [plain_rank(scoring, graph, [t, r + NUM_RELATIONS, h]) for h, r, t in triples.tolist()]
    return [tails, heads]


def with_entities(scoring: BlockScoring, change: torch.Tensor) -> BlockScoring:
    """Replace the entities of the first block."""
    first = scoring.blocks[0]
    return replace(scoring, blocks=[replace(first, entities=change), *scoring.blocks[1:]])


class TestRank:
    @pytest.mark.parametrize("scorer", sorted(SCORERS))
    @pytest.mark.parametrize("whole_numbers", [False, True])
    def test_is_the_definition(self, graph: Graph, scorer: str, whole_numbers: bool) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS, scorer, whole_numbers)
        found = rank(scoring, graph.test, known_answers(graph, CPU))
        tails, heads = plain_ranks(scoring, graph, graph.test)
        np.testing.assert_array_equal(found.tail_ranks, tails)
        np.testing.assert_array_equal(found.head_ranks, heads)
        np.testing.assert_array_equal(found.triples, graph.test)

    def test_half_ranks_occur_in_the_case_with_ties(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS, "distmult", whole_numbers=True)
        ranks = rank(scoring, graph.test, known_answers(graph, CPU)).tail_ranks
        assert (ranks % 1 == 0.5).any()

    def test_a_constant_model_ranks_in_the_middle_of_what_is_not_filtered(
        self, graph: Graph
    ) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
        blocks = [replace(b, entities=torch.zeros_like(b.entities)) for b in scoring.blocks]
        constant = replace(scoring, blocks=blocks)
        found = rank(constant, graph.test, known_answers(graph, CPU))
        everything = np.unique(np.concatenate([graph.split(split) for split in SPLITS]), axis=0)
        for (head, relation, tail), tail_rank, head_rank in zip(
            graph.test.tolist(), found.tail_ranks, found.head_ranks, strict=True
        ):
            in_relation = everything[everything[:, 1] == relation]
            rival_tails = NUM_ENTITIES - (in_relation[:, 0] == head).sum()
            rival_heads = NUM_ENTITIES - (in_relation[:, 2] == tail).sum()
            assert tail_rank == (rival_tails + 1 + 1) / 2
            assert head_rank == (rival_heads + 1 + 1) / 2

    @pytest.mark.parametrize("chunk_size", [1, 7, 1000])
    def test_chunks_change_nothing(self, graph: Graph, chunk_size: int) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS, whole_numbers=True)
        known = known_answers(graph, CPU)
        whole, chunked = (
            rank(scoring, graph.test, known),
            rank(scoring, graph.test, known, chunk_size=chunk_size),
        )
        np.testing.assert_array_equal(chunked.tail_ranks, whole.tail_ranks)
        np.testing.assert_array_equal(chunked.head_ranks, whole.head_ranks)

    def test_undefined_scores_rank_last_and_outrank_nobody(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS, "distmult")
        entities = scoring.blocks[0].entities.clone()
        entities[[2, 5]] = torch.nan
        broken = with_entities(scoring, entities)
        found = rank(broken, graph.test, known_answers(graph, CPU))
        tails, heads = plain_ranks(broken, graph, graph.test)
        np.testing.assert_array_equal(found.tail_ranks, tails)
        np.testing.assert_array_equal(found.head_ranks, heads)
        answers = graph.test[:, 2]
        assert (found.tail_ranks[np.isin(answers, [2, 5])] == NUM_ENTITIES).all()

    def test_a_model_of_nothing_but_nan_is_the_worst_there_is(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
        broken = with_entities(scoring, torch.full_like(scoring.blocks[0].entities, torch.nan))
        metrics = rank(broken, graph.test, known_answers(graph, CPU)).metrics()
        assert metrics["mrr"] == pytest.approx(1 / NUM_ENTITIES)

    def test_a_perfect_model_is_first_everywhere(self, graph: Graph) -> None:
        """Answers known beside the one asked for are better, and do not count."""
        size, triples = graph.num_entities, graph.train[:1]
        scoring = random_scoring(size, NUM_RELATIONS, "distmult")
        head, relation, tail = triples[0].tolist()
        rest = np.array([[head, relation, other] for other in range(size) if other != tail])
        full = replace(graph, train=triples, valid=rest, test=graph.test[:0])
        assert rank(scoring, triples, known_answers(full, CPU)).tail_ranks.tolist() == [1.0]

    def test_no_triples(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
        found = rank(scoring, graph.test[:0], known_answers(graph, CPU))
        assert found.metrics()["num_ranks"] == 0

    def test_duplicates_count_as_often_as_they_are_listed(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
        known = known_answers(graph, CPU)
        twice = rank(scoring, np.repeat(graph.test, 2, axis=0), known)
        once = rank(scoring, graph.test, known)
        np.testing.assert_array_equal(twice.tail_ranks[::2], once.tail_ranks)
        assert twice.metrics()["mrr"] == pytest.approx(once.metrics()["mrr"])


class TestMetrics:
    def test_by_hand(self) -> None:
        found = rank_metrics(np.array([1.0, 2.0, 3.5, 10.0, 40.0]))
        assert found == {
            "mrr": pytest.approx((1 + 1 / 2 + 1 / 3.5 + 1 / 10 + 1 / 40) / 5),
            "hits_at_1": pytest.approx(0.2),
            "hits_at_3": pytest.approx(0.4),
            "hits_at_10": pytest.approx(0.8),
            "mr": pytest.approx(11.3),
            "num_ranks": 5,
        }

    def test_a_mask_selects_triples_on_both_sides(self, graph: Graph) -> None:
        scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
        found = rank(scoring, graph.test, known_answers(graph, CPU))
        mask = graph.test[:, 1] == 1
        both = np.concatenate([found.tail_ranks[mask], found.head_ranks[mask]])
        assert found.metrics(mask) == rank_metrics(both)
        assert found.metrics(mask)["num_ranks"] == 2 * mask.sum()
