"""Training facts like a triple: by the definition, one pair at a time."""

import numpy as np
import pytest
import torch
from random_scoring import random_scoring

from model.config import ScorerName
from model.prediction.evidence import block_shares
from model.prediction.nearest_facts import FactIndex, NearestFacts
from model.scorers import SCORERS
from model.scoring.blocks import BlockScoring

NUM_ENTITIES, NUM_RELATIONS, RELATION = 30, 3, 1


def draw_facts(num_facts: int = 60) -> np.ndarray:
    generator = np.random.default_rng(0)
    highest = [NUM_ENTITIES, NUM_RELATIONS, NUM_ENTITIES]
    return generator.integers(0, highest, (num_facts, 3))


def nearest(
    scoring: BlockScoring, triples: np.ndarray, k: int, facts: np.ndarray | None = None
) -> NearestFacts:
    facts = draw_facts() if facts is None else facts
    heads, tails = torch.from_numpy(triples[:, 0]), torch.from_numpy(triples[:, 2])
    return FactIndex(facts, NUM_RELATIONS).nearest(scoring, RELATION, heads, tails, k)


def plain_similarity(
    scoring: BlockScoring, triple: tuple[int, int], fact: tuple[int, int]
) -> float:
    """Compute what the module's docstring says."""
    heads, tails = torch.tensor([triple[0]]), torch.tensor([triple[1]])
    shares = block_shares(scoring, heads, torch.tensor([RELATION]), tails)[0]
    total = 0.0
    for block, share in zip(scoring.blocks, shares.tolist(), strict=True):
        product = 1.0
        for side, relation in ((0, RELATION), (1, RELATION + NUM_RELATIONS)):
            pair = [triple[side], fact[side]]
            if pair[0] == pair[1]:
                continue
            if not bool(block.present[pair].all()):
                product = 0.0
                continue
            row = block.relations[[relation, relation]]
            query = block.scorer.query(block.entities[pair], row).detach()
            product *= max(0.0, float(torch.cosine_similarity(query[0], query[1], dim=0)))
        total += share * product
    return total


@pytest.mark.parametrize("scorer", SCORERS)
def test_similarities_are_those_of_the_definition(scorer: ScorerName) -> None:
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS, scorer)
    facts = np.unique(draw_facts(), axis=0)
    candidates = facts[facts[:, 1] == RELATION]
    triples = np.array([[3, RELATION, 7], [0, RELATION, 12], [29, RELATION, 0]])
    found = nearest(scoring, triples, len(candidates) + 5)
    for row, (head, _, tail) in enumerate(triples.tolist()):
        expected = {
            (h, t): plain_similarity(scoring, (head, tail), (h, t))
            for h, _, t in candidates.tolist()
        }
        pairs = list(zip(found.heads[row].tolist(), found.tails[row].tolist(), strict=True))
        assert set(pairs) == set(expected)
        similarities = found.similarities[row].tolist()
        assert similarities == pytest.approx([expected[pair] for pair in pairs], abs=1e-5)
        assert similarities == sorted(similarities, reverse=True)


def test_a_fact_is_none_of_its_own() -> None:
    facts = draw_facts()
    own = facts[facts[:, 1] == RELATION]
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    found = nearest(scoring, own, 1)
    for (head, _, tail), h, t in zip(own, found.heads[:, 0], found.tails[:, 0], strict=True):
        assert (head, tail) != (int(h), int(t))


def test_who_differs_in_nothing_known_is_as_like_as_can_be() -> None:
    """Entities 1 and 2 have the same embeddings: (1, r, t) is like (2, r, t) to the full."""
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    for block in scoring.blocks:
        block.entities[2] = block.entities[1]
        block.present[[1, 2, 5]] = True
    found = nearest(scoring, np.array([[1, RELATION, 5]]), 1, np.array([[2, RELATION, 5]]))
    assert float(found.similarities) == pytest.approx(1, abs=1e-5)


def test_a_relation_without_facts_has_none() -> None:
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    found = nearest(scoring, np.array([[1, RELATION, 5]]), 3, np.array([[1, 0, 5], [2, 2, 5]]))
    assert found.similarities.shape == (1, 0)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring, triples = random_scoring(NUM_ENTITIES, NUM_RELATIONS), draw_facts(9)
    together = nearest(scoring, triples, 4)
    monkeypatch.setattr("model.prediction.nearest_facts._NUMBERS_AT_ONCE", 50)
    apart = nearest(scoring, triples, 4)
    torch.testing.assert_close(apart.similarities, together.similarities)
    assert torch.equal(apart.heads, together.heads)
