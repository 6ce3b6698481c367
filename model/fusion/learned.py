"""Fusions that are learned with the answers, to compare CMKF with: an MLP, attention, a gate.

None of them knows of relevance or redundancy other than through the gradient.

Shapes: E entities, M modalities, D width.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.config import FusionName
from model.layers.scaled import ScaledLinear, scaled_normal


class LearnedFusion(nn.Module, ABC):
    """Fuses what an entity's modalities say.

    Args:
        num_modalities: M.
        dim: D.
        dtype: Precision of the matrix products.
    """

    def __init__(self, num_modalities: int, dim: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_modalities, self.dim, self.dtype = num_modalities, dim, dtype

    @abstractmethod
    def forward(self, parts: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            parts: What each modality says; zero where it is not heard. Shape: (E, M, D).
            heard: Who is heard. Shape: (E, M), bool.

        Returns:
            The fused embeddings, (E, D), and the modalities' shares, without gradient, (E, M).
        """


class ConcatMlpFusion(LearnedFusion):
    """A network of one hidden layer over all parts side by side, zeros for what is absent."""

    def __init__(self, num_modalities: int, dim: int, dtype: torch.dtype) -> None:
        super().__init__(num_modalities, dim, dtype)
        self.hidden = ScaledLinear(num_modalities * (dim + 1), dim, dtype)
        self.out = ScaledLinear(dim, dim, dtype)

    def forward(self, parts: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse; the shares are equal, as a network tells of none."""
        mask = heard.to(parts.dtype)
        seen = torch.cat([parts.flatten(1), mask], dim=1)
        return self.out(self.hidden(seen).relu()), normalised(mask)


class AttentionFusion(LearnedFusion):
    """A mean by softmax attention with one query. Source: Bahdanau et al., ICLR 2015, additive."""

    def __init__(self, num_modalities: int, dim: int, dtype: torch.dtype) -> None:
        super().__init__(num_modalities, dim, dtype)
        self.keys = nn.Parameter(torch.randn(num_modalities, dim, dim))
        self.query = nn.Parameter(torch.randn(dim))

    def forward(self, parts: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse; the shares are those of the softmax."""
        maps = scaled_normal(self.keys).to(self.dtype)
        keys = torch.einsum("emd,mdk->emk", parts.to(self.dtype), maps).tanh()
        logits = (keys @ (self.query * self.dim**-0.5).to(self.dtype)).to(parts.dtype)
        raised = torch.where(heard, (logits - logits.amax(1, keepdim=True).detach()).exp(), 0.0)
        shares = normalised(raised)
        return torch.einsum("em,emd->ed", shares, parts), shares.detach()


class GateFusion(LearnedFusion):
    """A sum of the parts, each number times a gate that sees all parts.

    Source: Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017.
    """

    def __init__(self, num_modalities: int, dim: int, dtype: torch.dtype) -> None:
        super().__init__(num_modalities, dim, dtype)
        self.gate = ScaledLinear(num_modalities * (dim + 1), num_modalities * dim, dtype)

    def forward(self, parts: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse; the shares are those of the mean gates."""
        mask = heard.to(parts.dtype)
        seen = torch.cat([parts.flatten(1), mask], dim=1)
        gates = self.gate(seen).sigmoid().view_as(parts)
        return (gates * parts).sum(1), normalised(gates.detach().mean(2) * mask)


def normalised(weights: Tensor) -> Tensor:
    """Divide rows by their sums; rows of zeros stay. Shape: (E, M)."""
    return weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


LEARNED_FUSIONS: Mapping[FusionName, type[LearnedFusion]] = {
    "concat_mlp": ConcatMlpFusion,
    "attention": AttentionFusion,
    "gate": GateFusion,
}
