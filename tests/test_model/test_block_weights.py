"""Weights of blocks: fitted on planted answers, so the right ones are known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model import candidates
from model.config import CONTENT, STRUCTURE
from model.encoded_block import EncodedBlock
from model.inputs import KnownTails
from model.scorers import DistMultScorer
from model.scoring.block_weights import fit_block_weights

NUM_ENTITIES, NUM_RELATIONS, DIM = 300, 3, 8
SCORER = DistMultScorer(DIM)


def block(name: str, seed: int) -> EncodedBlock:
    """Draw a block whose scores have a standard deviation near 1."""
    generator = torch.Generator().manual_seed(seed)
    entities = torch.randn(NUM_ENTITIES, DIM, generator=generator)
    relations = torch.randn(NUM_RELATIONS, DIM, generator=generator).sign() * DIM**-0.5
    return learned_block(name, entities, relations)


def learned_block(name: str, entities: Tensor, relations: Tensor) -> EncodedBlock:
    """Return a block that knows everyone by rows of its own."""
    size = len(entities)
    present = torch.ones(size, dtype=torch.bool)
    voices = ((name,), torch.ones(size, 1), torch.ones(1, 1))
    return EncodedBlock(name, entities, relations, present, SCORER, *voices)


def questions_of(scores: Sequence[Tensor], relations: Sequence[int]) -> Tensor:
    """Draw an answer to (head, relation, ?) for every head, by softmax of the scores.

    Args:
        scores: For each of `relations`, scores of all tails. Shape: (E, E) each.
        relations: Which relations are asked for.
    """
    generator = torch.Generator().manual_seed(99)
    parts = []
    for relation, logits in zip(relations, scores, strict=True):
        tails = torch.multinomial(logits.softmax(1), 1, generator=generator)
        heads = torch.arange(NUM_ENTITIES).unsqueeze(1)
        parts.append(torch.cat([heads, torch.full_like(heads, relation), tails], dim=1))
    return torch.cat(parts)


def scores_of(block: EncodedBlock, relation: int) -> Tensor:
    """Score all tails for all heads. Shape: (E, E)."""
    query = SCORER.query(block.entities, block.relations[[relation]])
    return SCORER.score_all(query, block.entities)


def fit(blocks: Sequence[EncodedBlock], questions: Tensor, seed: int = 0) -> Tensor:
    known = KnownTails(questions.numpy(), NUM_RELATIONS, torch.device("cpu"))
    return fit_block_weights(blocks, questions, known, seed)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("num_candidates", [1024, 60])
def test_the_scale_is_that_of_the_answers(
    scale: float, num_candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "NUM_CANDIDATES", num_candidates)
    only = block(CONTENT, 0)
    questions = questions_of([scale * scores_of(only, r) for r in (0, 1)], [0, 1])
    weights = fit([only], questions)
    assert weights.shape == (NUM_RELATIONS, 1)
    np.testing.assert_allclose(weights[:2], scale, rtol=0.25)


def test_the_informative_block_gets_the_weight() -> None:
    informative, noise = block(CONTENT, 0), block(STRUCTURE, 1)
    questions = questions_of([2 * scores_of(informative, r) for r in (0, 1)], [0, 1])
    weights = fit([noise, informative], questions)
    assert bool((weights > 0).all())
    assert bool((weights[:2, 1] > 10 * weights[:2, 0]).all())


@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_the_size_of_a_blocks_scores_does_not_matter(size: float) -> None:
    first, second = block(CONTENT, 0), block(STRUCTURE, 1)
    questions = questions_of([scores_of(first, r) + scores_of(second, r) for r in (0, 1)], [0, 1])
    plain = fit([first, second], questions)
    sized = fit([replace(first, relations=first.relations * size), second], questions)
    np.testing.assert_allclose(sized[:, 0] * size, plain[:, 0], rtol=0.02)
    np.testing.assert_allclose(sized[:, 1], plain[:, 1], rtol=0.02)


def test_each_relation_gets_the_block_that_knows_it() -> None:
    first, second = block(CONTENT, 0), block(STRUCTURE, 1)
    questions = questions_of([2 * scores_of(first, 0), 2 * scores_of(second, 1)], [0, 1])
    weights = fit([first, second], questions)
    assert weights[0, 0] > 3 * weights[0, 1]
    assert weights[1, 1] > 3 * weights[1, 0]


def test_both_get_a_weight_where_both_know_something() -> None:
    first, second = block(CONTENT, 0), block(STRUCTURE, 1)
    scores = [2 * scores_of(first, r) + scores_of(second, r) for r in (0, 1)]
    weights = fit([first, second], questions_of(scores, [0, 1]))
    np.testing.assert_allclose(weights[:2], [[2, 1], [2, 1]], rtol=0.35)


def test_a_relation_that_nobody_asked_about_gets_what_all_share() -> None:
    first, second = block(CONTENT, 0), block(STRUCTURE, 1)
    questions = questions_of([2 * scores_of(first, r) for r in (0, 1)], [0, 1])
    weights = fit([first, second], questions)
    np.testing.assert_allclose(weights[2], weights[:2].mean(0), rtol=0.35)


def test_known_answers_are_no_rivals() -> None:
    """Half of the entities answer every question: filtered, the best scores are right."""
    only = block(CONTENT, 0)
    order = scores_of(only, 0).argsort(dim=1, descending=True)[:50, :20]
    heads = torch.arange(50).unsqueeze(1).expand(-1, 20)
    triples = torch.stack([heads, torch.zeros_like(heads), order], dim=2).reshape(-1, 3)
    known = KnownTails(triples.numpy(), NUM_RELATIONS, torch.device("cpu"))
    last = triples.reshape(50, 20, 3)[:, -1]
    filtered = fit_block_weights([only], last, known)
    lonely = fit([only], last)
    assert filtered[0, 0] > 3 * lonely[0, 0]


def test_nothing_held_back_gives_equal_weights() -> None:
    weights = fit([block(CONTENT, 0), block(STRUCTURE, 1)], torch.zeros(0, 3, dtype=torch.long))
    assert torch.equal(weights, torch.ones(NUM_RELATIONS, 2))


def test_deterministic_and_without_gradient_to_the_blocks() -> None:
    only = block(CONTENT, 0)
    questions = questions_of([scores_of(only, 0)], [0])
    only.entities.requires_grad_()
    state = torch.random.get_rng_state()
    first, second = fit([only], questions), fit([only], questions)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert only.entities.grad is None
    assert torch.equal(torch.random.get_rng_state(), state), "training must not notice"


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_scores_of_any_size_give_finite_weights(scale: float) -> None:
    only = block(CONTENT, 0)
    questions = questions_of([scores_of(only, 0)], [0])
    weights = fit([replace(only, relations=only.relations * scale)], questions)
    assert bool(weights.isfinite().all())
    assert bool((weights > 0).all())


def anything(seed: int) -> tuple[list[EncodedBlock], Tensor]:
    """Draw blocks whose scores are of any size, and a few questions that nothing answers."""
    generator = torch.Generator().manual_seed(seed)
    size, num_blocks, count = (
        int(torch.randint(low, high, (1,), generator=generator))
        for low, high in ((20, 60), (1, 6), (2, 40))
    )
    blocks = []
    for index in range(num_blocks):
        scale = 10 ** float(torch.empty(1).uniform_(-3, 2, generator=generator))
        entities = torch.randn(size, DIM, generator=generator) * scale
        relations = torch.randn(NUM_RELATIONS, DIM, generator=generator)
        blocks.append(learned_block(str(index), entities, relations))
    columns = [
        torch.randint(limit, (count,), generator=generator) for limit in (size, NUM_RELATIONS, size)
    ]
    return blocks, torch.stack(columns, dim=1)


def test_where_nothing_helps_weights_stay_finite() -> None:
    for seed in (*range(40), 122):
        weights = fit(*anything(seed))
        assert bool(weights.isfinite().all()), seed
        assert bool((weights >= 0).all()), seed


def test_more_blocks_than_dimensions() -> None:
    blocks = [
        replace(whole, entities=whole.entities[:, :4], relations=whole.relations[:, :4])
        for whole in (block(str(seed), seed) for seed in range(6))
    ]
    questions = questions_of([scores_of(blocks[0], 0)], [0])
    assert fit(blocks, questions).shape == (NUM_RELATIONS, 6)
