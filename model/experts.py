"""CMoE: the experts of one modality, each giving its own view of an entity.

Shapes: P entities that have the modality, K experts, D model width.
"""

import torch
from torch import Tensor, nn


class ModalityExperts(nn.Module):
    """K experts over the frozen rows of one modality.

    Each expert sees the row through dropout of its own, so that no two are driven to the same
    map, and answers with a linear view. A linear view is what scored best where rows come from a
    pretrained backbone (docs/model.md).

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

    def forward(self, rows: Tensor) -> Tensor:
        """Return the views. Shapes: (P, input_dim) -> (K, P, D)."""
        seen = rows.expand(self.weight.shape[0], *rows.shape)
        if not self.training or self.dropout == 0:
            return torch.baddbmm(self.bias, seen, self.weight)
        kept = ~random_mask(seen.shape, self.dropout, rows.device)
        return torch.baddbmm(self.bias, seen * kept, self.weight / (1 - self.dropout))


def random_mask(shape: torch.Size, share: float, device: torch.device) -> Tensor:
    """Draw a mask that is true for a share of its places, to the nearest 1/65536 below 1.

    Four places cost one random number, which is ten times as fast as `bernoulli_` on a CPU.
    """
    numbers = torch.empty(-(-shape.numel() // 4), dtype=torch.int64, device=device)
    parts = numbers.random_(-(2**63), None).view(torch.int16)[: shape.numel()]
    return (parts < min(round(share * 2**16), 2**16 - 1) - 2**15).view(shape)
