"""The loss in chunks: the same value and gradients as in one piece, whatever the chunk."""

import pytest
import torch
from small_training import negatives_config
from torch import Tensor

from model.negatives import chunked_loss as chunked
from model.negatives.egns import one_vs_all_loss
from model.scorers import SCORERS, build_scorer

NUM_QUESTIONS, NUM_ENTITIES, DIM = 10, 17, 6


def loss_and_gradients(
    scorer_name: str, whole: bool, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Compute a weighed 1-vs-all loss in one piece or in chunks, with its gradients."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    scorer, config = build_scorer(scorer_name, DIM), negatives_config(weighting="egns")
    head, relation = (
        torch.randn(NUM_QUESTIONS, width, generator=generator)
        for width in (DIM, scorer.relation_dim)
    )
    entities = torch.randn(NUM_ENTITIES, DIM, generator=generator)
    target = torch.randint(NUM_ENTITIES, (NUM_QUESTIONS,), generator=generator)
    known = torch.zeros(NUM_QUESTIONS, NUM_ENTITIES, dtype=torch.bool)
    known[:, ::4] = True
    known[torch.arange(NUM_QUESTIONS), target] = True
    leaves = [part.requires_grad_() for part in (head, relation, entities)]

    def part_loss(product: Tensor, place: slice) -> Tensor:
        scores = scorer.from_product(product)
        answers = torch.stack([torch.arange(len(scores)), target[place]])
        return one_vs_all_loss(scores, answers, known[place].nonzero().T, config).sum()

    left, right = scorer.factors(scorer.query(head, relation), entities)
    if whole:
        total = part_loss(left @ right.T, slice(None))
    else:
        total = chunked.chunked_loss(left, right, part_loss, dtype)
    (total * 0.3).backward()
    return [total.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("scorer_name", sorted(SCORERS))
@pytest.mark.parametrize("chunk_numbers", [1, 3 * NUM_ENTITIES, 2**20])
@pytest.mark.parametrize("kept_numbers", [1, 7 * NUM_ENTITIES, 2**20])
def test_chunks_change_nothing(
    scorer_name: str, chunk_numbers: int, kept_numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "_CHUNK_NUMBERS", {"cpu": chunk_numbers})
    monkeypatch.setattr(chunked, "_GRADIENT_NUMBERS", {"cpu": kept_numbers})
    monkeypatch.setattr(chunked, "_MIN_QUESTIONS", 1)
    found = loss_and_gradients(scorer_name, whole=False)
    expected = loss_and_gradients(scorer_name, whole=True)
    assert len(found) == len(expected) == 4
    for part, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-5)


def test_what_is_multiplied_may_be_rounded() -> None:
    """Bfloat16 has 8 bits: sums of six products differ by little, and all is float32 again."""
    found = loss_and_gradients("complex", whole=False, dtype=torch.bfloat16)
    for part, exact in zip(found, loss_and_gradients("complex", whole=True), strict=True):
        assert part.dtype == torch.float32
        assert 0 < float((part - exact).norm() / exact.norm()) < 0.02


def test_a_loss_that_is_not_a_number_is_not_hidden() -> None:
    query, entities = torch.full((3, 2), torch.nan, requires_grad=True), torch.ones(5, 2)
    total = chunked.chunked_loss(query, entities, lambda product, _: product.sum())
    assert bool(total.isnan())
