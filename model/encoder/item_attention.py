"""Several items of one entity, say ten pictures of a thing, weighed into one row.

Source: the gateless attention pooling of Ilse et al., "Attention-based Deep Multiple Instance
Learning" (ICML 2018), on linear views.
"""

import torch
from torch import Tensor, nn


class ItemAttention(nn.Module):
    """Softmax over an entity's items of how well they fit a learned query; at first, the mean.

    Args:
        dim: Width of a view.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim))

    def forward(self, views: Tensor, owners: Tensor, num_owners: int) -> Tensor:
        """Weigh items.

        Args:
            views: One row per item. Shape: (num_items, D).
            owners: Whose item it is. Shape: (num_items,).
            num_owners: Number of entities; each owns an item.

        Returns:
            One row per entity. Shape: (num_owners, D).
        """
        logits = views @ self.query
        highest = logits.detach().new_full((num_owners,), -torch.inf)
        highest = highest.scatter_reduce(0, owners, logits.detach(), "amax")
        raised = (logits - highest[owners]).exp()
        weights = raised / raised.new_zeros(num_owners).index_add(0, owners, raised)[owners]
        pooled = views.new_zeros(num_owners, views.shape[1])
        return pooled.index_add(0, owners, views * weights.unsqueeze(1))
