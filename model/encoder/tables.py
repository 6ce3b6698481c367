"""Learned rows: of entities, and of what their neighbours' rows say of them.

Shapes: E entities, R relations (inverses included), D width.
"""

import torch
from torch import Tensor, nn

from model.encoder.neighbours import Neighbourhood, NeighbourMean
from model.inputs import ModalityRows


class StructureTable(nn.Module):
    """A learned row per entity that occurs in training; the others read the mean row.

    The mean row makes an unseen entity an average answer, neither favoured nor excluded.

    Args:
        seen: Which entities occur in the training triples. Shape: (E,), bool.
        dim: D.
    """

    seen: Tensor

    def __init__(self, seen: Tensor, dim: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(len(seen), dim) * 0.01)
        self.register_buffer("seen", seen, persistent=False)

    def of_seen(self) -> ModalityRows:
        """Return the rows of the entities that occur in training."""
        entities = self.seen.nonzero().squeeze(1)
        return ModalityRows(entities, self.rows[entities])

    def forward(self) -> Tensor:
        """Return the rows. Shape: (E, D)."""
        if self.training or bool(self.seen.all()):
            return self.rows
        return torch.where(self.seen.unsqueeze(1), self.rows, self.rows[self.seen].mean(0))


class ContextTable(nn.Module):
    """What the learned rows of an entity's neighbours say of it.

    Args:
        num_entities: E.
        num_relations: R, inverses included.
        dim: D.
    """

    def __init__(self, num_entities: int, num_relations: int, dim: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(num_entities, dim) * 0.01)
        self.neighbour_mean = NeighbourMean(num_relations, dim)

    def forward(self, neighbourhood: Neighbourhood, audible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means, (E, D), and who heard something, (E,)."""
        everyone = torch.ones(len(self.rows), dtype=torch.bool, device=self.rows.device)
        heard: tuple[Tensor, Tensor] = self.neighbour_mean(
            self.rows, everyone, neighbourhood, audible
        )
        return heard
