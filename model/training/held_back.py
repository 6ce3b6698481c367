"""Training triples that are held back for the first epochs, to measure relevance on."""

import torch
from torch import Tensor

from model.candidates import CandidateSample
from model.inputs import KnownTails


class HeldBack:
    """Which triples are held back when.

    Args:
        edges: The training triples, then their inverses. Shape: (2n, 3).
        share: Share of the triples to hold back.
        epochs: For how many epochs, counted from 1.
        seed: Which are drawn.
    """

    def __init__(self, edges: Tensor, share: float, epochs: int, seed: int) -> None:
        self._edges, self._epochs, self._seed = edges, epochs, seed
        num_triples = len(edges) // 2
        order = torch.randperm(num_triples, generator=torch.Generator().manual_seed(seed))
        self._drawn = order[: int(share * num_triples)].to(edges.device)

    def during(self, epoch: int) -> Tensor:
        """Return the triples, by index, that an epoch does not train on; before the first, all."""
        return self._drawn[: None if epoch <= self._epochs else 0]

    def sample(self, epoch: int, known: KnownTails, num_entities: int) -> CandidateSample | None:
        """Return questions on what no epoch up to this one has trained on; None if there are none.

        Args:
            epoch: The last one trained.
            known: The training triples.
            num_entities: E.
        """
        indices = self.during(epoch)
        if epoch == 0 or not len(indices):
            return None
        both_ways = torch.cat([indices, indices + len(self._edges) // 2])
        return CandidateSample.draw(self._edges[both_ways], known, num_entities, self._seed)
