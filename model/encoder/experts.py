"""CMoE: the experts of one modality, each giving its own view of an entity.

Shapes: P entities that have the modality, K experts, D model width.
"""

import torch
from torch import Tensor, nn

from model.encoder.gates import SelfGate
from model.layers.dropout import hide


class ModalityExperts(nn.Module):
    """K experts over the frozen rows of one modality.

    Each expert sees the row through dropout of its own, so that no two are driven to the same
    map, and answers with a linear view, gated by itself (docs/model.md tells what the gate gains).

    Args:
        input_dim: Length of a row.
        dim: Width of a view.
        num_experts: Number of experts.
        dropout: Share of a row's numbers hidden from an expert in training.
    """

    def __init__(self, input_dim: int, dim: int, num_experts: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.weight = nn.Parameter(torch.randn(num_experts, input_dim, dim) * 0.05)
        self.bias = nn.Parameter(torch.zeros(num_experts, 1, dim))
        self.gate = SelfGate(num_experts, dim)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the views. Shapes: (P, input_dim), of any precision -> (K, P, D)."""
        gated: Tensor = self.gate(self._products(rows), self.bias)
        return gated

    def linear(self, rows: Tensor) -> Tensor:
        """Return the views before they are gated; shapes as in `forward`."""
        return self._products(rows).to(self.bias.dtype) + self.bias

    def _products(self, rows: Tensor) -> Tensor:
        """Return the views before the bias, in the rows' precision."""
        seen = rows.expand(self.weight.shape[0], *rows.shape)
        weight = self.weight.to(rows.dtype)
        if self.training and self.dropout:
            seen, weight = hide(seen, self.dropout), weight / (1 - self.dropout)
        return torch.bmm(seen, weight)
