"""Scorers: how plausible a triple is, given the embeddings of its parts.

A scorer turns a head and a relation into a query once, so that all entities are scored against
it by one matrix product. Shapes: B batch, E entities, R relations, D width of an entity (complex
numbers are stored as two halves: real parts, then imaginary parts), D_r width of a relation.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model.config import ScorerName


class Scorer(nn.Module, ABC):
    """Base of all scorers; a module, as some have parameters beside the rows of what they score.

    Args:
        dim: D.

    Attributes:
        name: Name in the config.
        relation_dim: D_r.
        is_bilinear: Whether the product of the factors is the score, so that rounding them changes
            scores by as little; a distance is a small difference of large numbers.
    """

    name: ClassVar[ScorerName]
    is_bilinear: ClassVar[bool] = True

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.relation_dim = dim

    @abstractmethod
    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Combine heads and relations. Shapes: (B, D), (B, D_r) -> (B, D)."""

    @abstractmethod
    def inverse(self, relation: Tensor) -> Tensor:
        """Return r' such that (t, r', h) scores as (h, r, t) does. (R, D_r) -> (R, D_r)."""

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

    def penalty(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        """Sum the cubes of all three rows: the nuclear 3-norm's share of a triple.

        Source: Lacroix et al., "Canonical Tensor Decomposition for Knowledge Base Completion",
        ICML 2018, equation 5. Shapes: (B, D), (B, D_r), (B, D) -> (B,).
        """
        return self.cubes(head) + self.cubes(relation) + self.cubes(tail)

    def cubes(self, rows: Tensor) -> Tensor:
        """Sum over the width of |x|^3. Shapes: (B, any) -> (B,)."""
        return rows.abs().pow(3).sum(-1)


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
    """sum(h * r * t); all entities by one matrix product. Source: Yang et al., ICLR 2015."""

    name = "distmult"

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return h * r."""
        return head * relation

    def inverse(self, relation: Tensor) -> Tensor:
        """Return r itself: the score is symmetric."""
        return relation


class _ComplexScorer(Scorer):
    """What scorers over the complex numbers share."""

    def cubes(self, rows: Tensor) -> Tensor:
        """Sum of the cubed moduli."""
        real, imag = rows.chunk(2, dim=-1)
        return (real.square() + imag.square() + 1e-12).pow(1.5).sum(-1)


class ComplExScorer(_ComplexScorer):
    """Re(sum(h * r * conj(t))); all entities by one matrix product.

    Source: Trouillon et al., ICML 2016.
    """

    name = "complex"

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return h * r over the complex numbers."""
        return complex_product(head, relation)

    def inverse(self, relation: Tensor) -> Tensor:
        """Return the complex conjugate."""
        real, imag = relation.chunk(2, dim=-1)
        return torch.cat([real, -imag], dim=-1)


class _DistanceScorer(Scorer):
    """margin - |q - t| of a query q, the Euclidean norm.

    All entities are scored by one matrix product: |q - t|^2 = |q|^2 - 2 q.t + |t|^2.
    """

    margin: ClassVar[float] = 6.0
    is_bilinear = False

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

    def penalty(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        """Sum the cubes of head and tail.

        A distance factorises no tensor, so there is no nuclear norm; what is held are the sizes of
        the entities, and those only, as in TransE's source. An angle has no size.
        """
        return self.cubes(head) + self.cubes(tail)


class TransEScorer(_DistanceScorer):
    """margin - |h + r - t|; all entities by one matrix product.

    Source: Bordes et al., NIPS 2013, with the Euclidean norm.
    """

    name = "transe"

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return h + r."""
        return head + relation

    def inverse(self, relation: Tensor) -> Tensor:
        """Return the opposite translation."""
        return -relation


class RotatEScorer(_DistanceScorer, _ComplexScorer):
    """margin - |h * r - t| with r on the unit circle; all entities by one matrix product.

    A relation's row are angles, in radians. Source: Sun et al., ICLR 2019, with the Euclidean norm.
    """

    name = "rotate"

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.relation_dim = dim // 2

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Rotate the head by the relation's angles."""
        return complex_product(head, torch.cat([relation.cos(), relation.sin()], dim=-1))

    def inverse(self, relation: Tensor) -> Tensor:
        """Return the opposite angles."""
        return -relation


class TuckERScorer(Scorer):
    """W x1 h x2 r x3 t with a learned core W; all entities by matrix products.

    Every number of a relation's row weighs a D x D matrix. The second half of the matrices is the
    first one transposed, so that every relation has an inverse row. The penalty holds the rows, not
    the core, which is no triple's.

    A query multiplies the products of a head's and a relation's numbers, B x 32 D, with the core:
    13 MB of float32 for 512 questions of width 200, where a matrix for each would be 82 MB.

    Source: Balazevic et al., EMNLP 2019, without its dropout and batch normalisation; D_r is
    nearly that of its experiment on FB15k-237, 30.
    """

    name = "tucker"

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.relation_dim = 32
        self.half_core = nn.Parameter(torch.randn(self.relation_dim // 2, dim, dim))

    @property
    def core(self) -> Tensor:
        """W by relation, head and tail. Shape: (D_r, D, D).

        What is learned starts at unit variance and is scaled here, where a query sums D_r x D
        products: so queries are as large as rows are, and an optimiser's first steps, which are as
        large for any parameter, are small beside the core.
        """
        half: Tensor = self.half_core / (self.relation_dim * self.half_core.shape[1]) ** 0.5
        return torch.cat([half, half.transpose(1, 2)])

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """Return W x1 h x2 r."""
        products = torch.einsum("bk,bi->bki", relation, head)
        return products.flatten(1) @ self.core.flatten(0, 1)

    def inverse(self, relation: Tensor) -> Tensor:
        """Swap the halves, which transposes the relation's matrix."""
        first, second = relation.chunk(2, dim=-1)
        return torch.cat([second, first], dim=-1)


SCORERS: dict[ScorerName, type[Scorer]] = {
    scorer.name: scorer
    for scorer in (ComplExScorer, DistMultScorer, RotatEScorer, TransEScorer, TuckERScorer)
}


def build_scorer(name: ScorerName, dim: int) -> Scorer:
    """Return a scorer by its name, for entities of width `dim`."""
    return SCORERS[name](dim)
