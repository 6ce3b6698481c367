"""What speaks for the triples of each relation."""

import numpy as np
import pytest
import torch
from random_scoring import random_scoring

from model.prediction import evidence
from model.prediction.evidence import block_shares, shares_by_relation

NUM_ENTITIES, NUM_RELATIONS = 30, 4


@pytest.fixture
def triples() -> np.ndarray:
    """None of the last relation."""
    drawn = np.random.default_rng(0).integers(NUM_ENTITIES, size=(40, 3))
    drawn[:, 1] %= NUM_RELATIONS - 1
    return drawn


@pytest.mark.parametrize("numbers_at_once", [evidence._NUMBERS_AT_ONCE, 1])
def test_shares_of_a_relation_are_the_mean_over_both_ends_of_its_triples(
    triples: np.ndarray, numbers_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "_NUMBERS_AT_ONCE", numbers_at_once)
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    found = shares_by_relation(scoring, triples, most=1000)
    for relation in range(NUM_RELATIONS - 1):
        heads, _, tails = torch.from_numpy(triples[triples[:, 1] == relation]).unbind(1)
        asked = torch.full_like(heads, relation)
        forth = block_shares(scoring, heads, asked, tails)
        back = block_shares(scoring, tails, asked + NUM_RELATIONS, heads)
        torch.testing.assert_close(found[relation], (forth.mean(0) + back.mean(0)) / 2)
    assert found[-1].isnan().all()


def test_of_many_triples_some_are_looked_at(triples: np.ndarray) -> None:
    scoring = random_scoring(NUM_ENTITIES, NUM_RELATIONS)
    of_one = triples[triples[:, 1] == 1]
    found = shares_by_relation(scoring, of_one, most=1)[1]
    assert any(
        torch.allclose(found, shares_by_relation(scoring, row[None], most=1)[1]) for row in of_one
    )
    assert not torch.allclose(found, shares_by_relation(scoring, of_one, most=1000)[1])
