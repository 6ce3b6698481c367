"""What an entity's neighbours say of it: a relation-typed mean over its training edges.

A learned row per entity memorises the triples it was trained on; the mean of the neighbours'
features generalises to triples never seen. The edges that a step scores are left out of that
step's messages, since they would give the answer away.

Shapes: E entities, R relations with inverses, N edges, D width.
"""

import torch
from torch import Tensor, nn

from model.scorers import complex_product


class NeighbourMean(nn.Module):
    """Mean over edges (e, r, n) of content(n) turned by a learned complex row of r.

    Args:
        num_relations: Relations, inverses included.
        dim: Width of the content.
    """

    def __init__(self, num_relations: int, dim: int) -> None:
        super().__init__()
        self.relations = nn.Parameter(torch.randn(num_relations, dim) * 0.5)

    def forward(
        self, content: Tensor, has_content: Tensor, edges: Tensor, audible: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average the messages.

        Args:
            content: What each entity has to tell. Shape: (E, D).
            has_content: Who has anything to tell. Shape: (E,), bool.
            edges: Edges with inverses, columns receiver, relation, sender. Shape: (N, 3).
            audible: Which edges may carry a message in this step. Shape: (N,), bool.

        Returns:
            The means, (E, D), zero where nothing was heard, and who heard something, (E,).
        """
        receiver, relation, sender = edges.unbind(1)
        share = (audible & has_content[sender]).to(content.dtype)
        messages = complex_product(content[sender], self.relations[relation])
        total = torch.zeros_like(content).index_add(0, receiver, messages * share.unsqueeze(1))
        degree = content.new_zeros(len(content)).index_add(0, receiver, share)
        return total / degree.clamp_min(1).unsqueeze(1), degree > 0
