"""Gates: how much of each number of an embedding passes, told by the embedding as a whole.

A view of frozen features is linear, and what a number means may depend on the others: of two things
an entity says, one may be the reason to ignore the other. A gate is the cheapest non-linearity that
keeps the linear path. Source: gated linear units, Dauphin et al., ICML 2017; through a bottleneck
of `RANK` numbers, which is this project's: it costs a fraction of the map that it follows.

Shapes: K experts, P entities, E entities, D width.
"""

import torch
from torch import Tensor, nn

from model.fusion import normalised
from model.scaled import ScaledLinear, scaled_normal

RANK = 32


class SelfGate(nn.Module):
    """Gates of views, each told by its own view; before any training, everything passes.

    Args:
        num_experts: K.
        dim: D.
    """

    def __init__(self, num_experts: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(num_experts, dim, RANK))
        self.up = nn.Parameter(torch.zeros(num_experts, RANK, dim))

    def forward(self, views: Tensor, dtype: torch.dtype) -> Tensor:
        """Let views pass. Shapes: (K, P, D) -> (K, P, D).

        Args:
            views: The views.
            dtype: Precision of the matrix products.
        """
        hidden = torch.bmm(views.to(dtype), scaled_normal(self.down).to(dtype)).tanh()
        opened = torch.bmm(hidden, scaled_normal(self.up).to(dtype)).to(views.dtype)
        return 2 * opened.sigmoid() * views


class JoiningGate(nn.Module):
    """Joins what entities say themselves and what their neighbours say.

    Each number of either passes as far as both together tell. Where only one of them is heard, it
    is left as it is.

    Args:
        dim: D.
        dtype: Precision of the matrix products.
    """

    def __init__(self, dim: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.down = ScaledLinear(2 * dim, RANK, dtype)
        self.up = ScaledLinear(RANK, 2 * dim, dtype)

    def forward(self, parts: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Join.

        Args:
            parts: Own content and that of the neighbours, zero where not heard. Shape: (E, 2, D).
            heard: Which of the two is heard. Shape: (E, 2), bool.

        Returns:
            The joined embeddings, (E, D), and each part's share, without gradient, (E, 2): that of
            the length of what passes of it.
        """
        gates = self.up(self.down(parts.flatten(1)).tanh()).sigmoid().view_as(parts)
        gates = torch.where(heard.all(1)[:, None, None], gates, 1.0)
        passed = gates * parts
        lengths = passed.detach().float().norm(dim=2).clamp_min(torch.finfo().tiny)
        return passed.sum(1), normalised(lengths * heard)
