"""Scorers: how plausible a triple is, given the embeddings of its parts.

A scorer turns a head and a relation into a query once, so that all entities are scored against
it by one matrix product. Shapes: B batch, E entities, D width (complex numbers are stored as two
halves: real parts, then imaginary parts).
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from model.config import ScorerName


class Scorer(ABC):
    """Base of all scorers; they have no parameters of their own.

    Attributes:
        name: Name in the config.
        is_bilinear: Whether the product of the factors is the score, so that rounding them changes
            scores by as little; a distance is a small difference of large numbers.
    """

    name: ClassVar[ScorerName]
    is_bilinear: ClassVar[bool] = True

    @abstractmethod
    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Combine heads and relations. Shapes: (B, D), (B, D) -> (B, D)."""

    @abstractmethod
    def inverse(self, relation: Tensor) -> Tensor:
        """Return r' such that (t, r', h) scores as (h, r, t) does. (R, D) -> (R, D)."""

    def factors(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
        """Return what to multiply: (B, D), (E, D) -> (B, D'), (E, D'); see `from_product`."""
        return query, entities

    def from_product(self, product: Tensor) -> Tensor:
        """Turn the product of the factors, query by entity, into scores. (B, E) -> (B, E)."""
        return product

    def score_all(self, query: Tensor, entities: Tensor) -> Tensor:
        """Score every entity as the tail. Shapes: (B, D), (E, D) -> (B, E)."""
        left, right = self.factors(query, entities)
        return self.from_product(left @ right.T)

    def score_pairs(self, query: Tensor, tails: Tensor) -> Tensor:
        """Score given tails. Shapes: (B, D), (B, N, D) -> (B, N)."""
        return torch.einsum("bd,bnd->bn", query, tails)

    def penalty(self, embedding: Tensor) -> Tensor:
        """Sum over the width of |x|^3, the nuclear 3-norm's share of a row. (B, D) -> (B,).

        Source: Lacroix et al., "Canonical Tensor Decomposition for Knowledge Base Completion",
        ICML 2018, equation 5 (for complex scorers |x| is the modulus).
        """
        return embedding.abs().pow(3).sum(-1)


def complex_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply numbers stored as real halves and imaginary halves. Shapes: (..., D), both alike."""
    product: Tensor = _ComplexProduct.apply(left, right)
    return product


class _ComplexProduct(torch.autograd.Function):
    """Writes both halves in place: joining and splitting cost a CPU more than the arithmetic."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return _multiply(left, right, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        return _multiply(grads[0], right, -1), _multiply(grads[0], left, -1)


def _multiply(left: Tensor, right: Tensor, sign: int) -> Tensor:
    """Return left * right, or left * conj(right) if `sign` is -1."""
    product = torch.empty_like(left)
    real, imag = product.chunk(2, dim=-1)
    left_real, left_imag = left.chunk(2, dim=-1)
    right_real, right_imag = right.chunk(2, dim=-1)
    torch.mul(left_real, right_real, out=real).addcmul_(left_imag, right_imag, value=-sign)
    torch.mul(left_imag, right_real, out=imag).addcmul_(left_real, right_imag, value=sign)
    return product


class DistMultScorer(Scorer):
    """sum(h * r * t). Source: Yang et al., ICLR 2015."""

    name = "distmult"

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return h * r."""
        return head * relation

    def inverse(self, relation: Tensor) -> Tensor:
        """Return r itself: the score is symmetric."""
        return relation


class _ComplexScorer(Scorer):
    """What scorers over the complex numbers share."""

    def penalty(self, embedding: Tensor) -> Tensor:
        """Sum of the cubed moduli."""
        real, imag = embedding.chunk(2, dim=-1)
        return (real.square() + imag.square() + 1e-12).pow(1.5).sum(-1)


class ComplExScorer(_ComplexScorer):
    """Re(sum(h * r * conj(t))). Source: Trouillon et al., ICML 2016."""

    name = "complex"

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return h * r over the complex numbers."""
        return complex_product(head, relation)

    def inverse(self, relation: Tensor) -> Tensor:
        """Return the complex conjugate."""
        real, imag = relation.chunk(2, dim=-1)
        return torch.cat([real, -imag], dim=-1)


class RotatEScorer(_ComplexScorer):
    """margin - |h * r - t| with r on the unit circle. Source: Sun et al., ICLR 2019.

    The norm is Euclidean, so that |q - t|^2 = |q|^2 - 2 q.t + |t|^2 needs one matrix product.
    The relation's first half is read as angles, the second half is unused.
    """

    name = "rotate"
    is_bilinear = False
    margin: ClassVar[float] = 6.0

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Rotate the head by the relation's angles."""
        angle = relation.chunk(2, dim=-1)[0]
        return complex_product(head, torch.cat([angle.cos(), angle.sin()], dim=-1))

    def inverse(self, relation: Tensor) -> Tensor:
        """Return the opposite angles."""
        return -relation

    def factors(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
        """Return what multiplies to the squared distance."""
        query_square = query.square().sum(-1, keepdim=True)
        entity_square = entities.square().sum(-1, keepdim=True)
        left = torch.cat([-2 * query, query_square, torch.ones_like(query_square)], dim=-1)
        right = torch.cat([entities, torch.ones_like(entity_square), entity_square], dim=-1)
        return left, right

    def from_product(self, product: Tensor) -> Tensor:
        """Margin less the distance."""
        return self.margin - product.clamp_min(1e-9).sqrt()

    def score_pairs(self, query: Tensor, tails: Tensor) -> Tensor:
        """Margin less the distance to the given tails."""
        squared = (query.unsqueeze(1) - tails).square().sum(-1)
        return self.margin - squared.clamp_min(1e-9).sqrt()


SCORERS: dict[ScorerName, type[Scorer]] = {
    scorer.name: scorer for scorer in (ComplExScorer, DistMultScorer, RotatEScorer)
}


def build_scorer(name: ScorerName) -> Scorer:
    """Return the scorer of that name."""
    return SCORERS[name]()
