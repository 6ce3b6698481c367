"""Gates: how much of each number of an embedding passes, told by the embedding as a whole.

A view of frozen features is linear, and what a number means may depend on the others: of two things
an entity says, one may be the reason to ignore the other. A gate is the cheapest non-linearity that
keeps the linear path. Source: gated linear units, Dauphin et al., ICML 2017; through a bottleneck
of `RANK` numbers, which is this project's: it costs a fraction of the map that it follows.

Shapes: K experts, P entities, E entities, D width.
"""

from functools import partial

import torch
from torch import Tensor, nn

from model.fusion.learned import normalised
from model.layers.by_rows import by_rows
from model.layers.scaled import ScaledLinear, scaled_linear, scaled_normal

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

    def forward(self, products: Tensor, bias: Tensor) -> Tensor:
        """Let views pass. Shapes: (K, P, D) -> (K, P, D), in the bias's precision.

        Args:
            products: The views before their bias is added, in the precision of matrix products.
            bias: Shape (K, 1, D).
        """
        passed = by_rows(_pass, (products.transpose(0, 1),), (bias, self.down, self.up))
        return passed[0].transpose(0, 1)


def _pass(products: Tensor, bias: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor]:
    """Gate views of some entities. Shapes: (P, K, D) -> (P, K, D)."""
    views, dtype = products.transpose(0, 1).to(bias.dtype) + bias, products.dtype
    hidden = torch.bmm(views.to(dtype), scaled_normal(down).to(dtype)).tanh()
    opened = torch.bmm(hidden, scaled_normal(up).to(dtype)).to(views.dtype)
    return ((2 * opened.sigmoid() * views).transpose(0, 1),)


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

    def forward(self, own: Tensor, neighbours: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Join.

        Args:
            own: Entities' own content. Shape: (E, D).
            neighbours: What their neighbours say. Shape: (E, D).
            heard: Which of the two is heard. Shape: (E, 2), bool.

        Returns:
            The joined embeddings, (E, D), and each part's share, without gradient, (E, 2): that of
            the length of what passes of it.
        """
        joined, lengths = by_rows(
            partial(_join, dtype=self.down.dtype),
            (own, neighbours, heard.to(own.dtype)),
            (self.down.weight, self.down.bias, self.up.weight, self.up.bias),
        )
        return joined, normalised(lengths)


def _join(
    own: Tensor,
    neighbours: Tensor,
    heard: Tensor,
    down: Tensor,
    down_bias: Tensor,
    up: Tensor,
    up_bias: Tensor,
    *,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Join the contents of some entities; return that, and the lengths of what passes, (E, 2)."""
    parts = torch.stack([own, neighbours], dim=1) * heard.unsqueeze(2)
    hidden = scaled_linear(parts.flatten(1), down, down_bias, dtype).tanh()
    gates = scaled_linear(hidden, up, up_bias, dtype).sigmoid().view_as(parts)
    have_both = heard.prod(1)[:, None, None]
    passed = (1 + have_both * (gates - 1)) * parts
    lengths = passed.detach().float().norm(dim=2).clamp_min(torch.finfo().tiny)
    return passed.sum(1), lengths * heard
