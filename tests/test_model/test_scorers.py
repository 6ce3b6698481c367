"""Every scorer against a plain implementation in numpy's own complex numbers."""

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plain_scorers import REFERENCES, complex_of, plain_score
from torch import Tensor

from model.config import ScorerName
from model.scorers import SCORERS, Scorer, build_scorer, complex_product

DIM = 12


def rows(count: int, seed: int, scale: float = 1.0, dim: int = DIM) -> Tensor:
    """Draw rows. Shape: (count, dim)."""
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) * scale


def relation_rows(scorer: Scorer, count: int, seed: int) -> Tensor:
    """Draw relations. Shape: (count, D_r)."""
    return rows(count, seed, dim=scorer.relation_dim)


@pytest.fixture(params=sorted(SCORERS))
def scorer(request: pytest.FixtureRequest) -> Scorer:
    torch.manual_seed(0)
    return build_scorer(request.param, DIM)


def test_the_config_allows_what_there_is_and_each_has_a_reference() -> None:
    assert set(SCORERS) == set(get_args(ScorerName)) == set(REFERENCES)


class TestScorer:
    """What holds of every scorer."""

    @pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
    def test_score_all_is_the_definition(self, scorer: Scorer, scale: float) -> None:
        heads, relations = rows(4, 0, scale), relation_rows(scorer, 4, 1)
        entities = rows(7, 2, scale)
        found = scorer.score_all(scorer.query(heads, relations), entities)
        expected = [
            [plain_score(scorer, h, r, t) for t in entities.double().numpy()]
            for h, r in zip(heads.double().numpy(), relations.double().numpy(), strict=True)
        ]
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-4 * scale)

    def test_score_pairs_agrees_with_score_all(self, scorer: Scorer) -> None:
        query, entities = scorer.query(rows(4, 0), relation_rows(scorer, 4, 1)), rows(7, 2)
        chosen = torch.tensor([[0, 6], [1, 1], [5, 2], [3, 4]])
        pairs = scorer.score_pairs(query, entities[chosen])
        expected = scorer.score_all(query, entities).gather(1, chosen)
        torch.testing.assert_close(pairs, expected, rtol=1e-5, atol=1e-5)

    def test_the_inverse_asks_the_same_question_the_other_way(self, scorer: Scorer) -> None:
        heads, relations, tails = rows(5, 0), relation_rows(scorer, 5, 1), rows(5, 2)
        there = scorer.score_all(scorer.query(heads, relations), tails)
        back = scorer.score_all(scorer.query(tails, scorer.inverse(relations)), heads)
        torch.testing.assert_close(back.diagonal(), there.diagonal(), rtol=1e-4, atol=1e-4)

    def test_the_inverse_of_the_inverse_is_the_relation(self, scorer: Scorer) -> None:
        relations = relation_rows(scorer, 3, 0)
        assert torch.equal(scorer.inverse(scorer.inverse(relations)), relations)

    def test_gradients_stay_finite_where_head_and_tail_coincide(self, scorer: Scorer) -> None:
        same = rows(3, 0).requires_grad_()
        query = scorer.query(same, torch.zeros(3, scorer.relation_dim))
        everyone = scorer.score_all(query, same).sum()
        pairs = scorer.score_pairs(query, same.expand(3, 3, DIM)).sum()
        (everyone + pairs).backward()
        assert same.grad is not None
        assert bool(same.grad.isfinite().all())

    def test_the_penalty_is_the_nuclear_3_norm_of_what_has_a_size(self, scorer: Scorer) -> None:
        parts = [rows(4, 0), relation_rows(scorer, 4, 1), rows(4, 2)]
        found = scorer.penalty(*parts)
        sized = [parts[0], parts[2]] if scorer.name in ("rotate", "transe") else parts
        sizes = np.concatenate([sizes_of(scorer, part) for part in sized], axis=1)
        np.testing.assert_allclose(found, (sizes**3).sum(1), rtol=1e-4)

    def test_the_penalty_of_nothing_is_nothing_and_has_a_gradient(self, scorer: Scorer) -> None:
        nothing = torch.zeros(2, DIM, requires_grad=True)
        penalty = scorer.penalty(nothing, torch.zeros(2, scorer.relation_dim), nothing)
        penalty.sum().backward()
        assert nothing.grad is not None
        assert not nothing.grad.any()
        assert float(penalty.detach().max()) < 1e-12


def sizes_of(scorer: Scorer, part: Tensor) -> NDArray[np.float64]:
    """Return absolute values, or moduli. Shape: (B, any)."""
    values = part.double().numpy()
    if scorer.name in ("complex", "rotate"):
        return np.abs([complex_of(row) for row in values])
    return np.abs(values)


def test_complex_product_and_its_gradient() -> None:
    torch.manual_seed(0)
    left, right = (torch.randn(5, 8, dtype=torch.double, requires_grad=True) for _ in range(2))
    product = complex_product(left, right).detach().numpy()
    expected = complex_of(left.detach().numpy().T) * complex_of(right.detach().numpy().T)
    np.testing.assert_allclose(complex_of(product.T), expected)
    assert torch.autograd.gradcheck(complex_product, (left, right))
