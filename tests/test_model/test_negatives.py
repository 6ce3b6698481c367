"""Samplers: which side is corrupted how often, and by whom."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import NegativesConfig
from model.negatives.samplers import SAMPLERS, BernoulliSampler, NegativeSampler

# Relation 0: three heads share one tail. Relation 1: a head has two tails, another has one.
# Relation 2: none.
TRIPLES = np.array([[0, 0, 9], [1, 0, 9], [2, 0, 9], [3, 1, 4], [3, 1, 5], [6, 1, 7]])
NUM_ENTITIES, NUM_RELATIONS = 10, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=sorted(SAMPLERS))
def sampler(request: pytest.FixtureRequest) -> NegativeSampler:
    return SAMPLERS[request.param](TRIPLES, NUM_ENTITIES, NUM_RELATIONS)


def test_the_config_allows_what_there_is() -> None:
    allowed = get_args(NegativesConfig.model_fields["sampler"].annotation)
    assert set(SAMPLERS) == set(allowed)


class TestSampler:
    """What holds of every sampler."""

    def triples(self, count: int) -> Tensor:
        return torch.from_numpy(np.resize(TRIPLES, (count * len(TRIPLES), 3)))

    def test_a_question_is_the_triple_or_its_inverse(self, sampler: NegativeSampler) -> None:
        triples = self.triples(50)
        before = triples.clone()
        questions = sampler.questions(triples, generator())
        assert torch.equal(triples, before)
        turned = questions[:, 1] >= NUM_RELATIONS
        assert torch.equal(questions[~turned], triples[~turned])
        inverse = triples[turned][:, [2, 1, 0]] + torch.tensor([0, NUM_RELATIONS, 0])
        assert torch.equal(questions[turned], inverse)

    def test_the_sides_are_as_frequent_as_told(self, sampler: NegativeSampler) -> None:
        triples = self.triples(1000)
        keeps_head = sampler.questions(triples, generator())[:, 1] < NUM_RELATIONS
        for relation in (0, 1):
            share = keeps_head[triples[:, 1] == relation].float().mean()
            # Of 3,000 draws: four standard errors are below 0.037.
            assert float(share) == pytest.approx(float(sampler.tail_chance[relation]), abs=0.037)

    def test_every_relation_has_a_chance(self, sampler: NegativeSampler) -> None:
        assert sampler.tail_chance.shape == (NUM_RELATIONS,)
        assert bool(((sampler.tail_chance >= 0) & (sampler.tail_chance <= 1)).all())

    def test_negatives_are_uniform(self, sampler: NegativeSampler) -> None:
        drawn = sampler.draw((100, 200), generator())
        assert drawn.shape == (100, 200)
        shares = torch.bincount(drawn.flatten(), minlength=NUM_ENTITIES) / drawn.numel()
        torch.testing.assert_close(shares, torch.full((NUM_ENTITIES,), 0.1), atol=0.01, rtol=0)

    def test_the_seed_decides(self, sampler: NegativeSampler) -> None:
        triples = self.triples(20)
        for seed, same in ((3, True), (4, False)):
            draws = [sampler.draw((4, 50), generator(s)) for s in (3, seed)]
            questions = [sampler.questions(triples, generator(s)) for s in (3, seed)]
            assert torch.equal(*draws) == torch.equal(*questions) == same


def test_bernoulli_formula() -> None:
    chance = BernoulliSampler(TRIPLES, NUM_ENTITIES, NUM_RELATIONS).tail_chance
    # Relation 0: 1 tail per head, 3 heads per tail; the head is corrupted with 1 / (1 + 3).
    assert float(chance[0]) == pytest.approx(3 / 4)
    # Relation 1: 3/2 tails per head, 3/3 heads per tail; the head with 1.5 / 2.5.
    assert float(chance[1]) == pytest.approx(1 / 2.5)
