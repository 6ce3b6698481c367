"""Samplers: which side of a triple is corrupted, and by which entities.

Shapes: B batch, N negatives, R relations (inverses not counted).
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from storage.datasets.graph import Triples


class NegativeSampler(ABC):
    """Base of the samplers; the corrupting entities are drawn uniformly.

    Args:
        triples: Training triples. Shape: (n, 3).
        num_entities: E.
        num_relations: R.
    """

    def __init__(self, triples: Triples, num_entities: int, num_relations: int) -> None:
        self.num_entities = num_entities
        self.num_relations = num_relations
        self.tail_chance = torch.from_numpy(self._tail_chance(triples))

    @abstractmethod
    def _tail_chance(self, triples: Triples) -> np.ndarray:
        """Probability of corrupting the tail and not the head, by relation. Shape: (R,)."""

    def questions(self, triples: Tensor, generator: torch.Generator) -> Tensor:
        """Turn triples into questions: (h, r, t) to corrupt t, (t, r + R, h) to corrupt h.

        Args:
            triples: Shape (B, 3).
            generator: Source of chance, on the CPU.

        Returns:
            Shape (B, 3).
        """
        draw = torch.rand(len(triples), generator=generator).to(triples.device)
        tail = (draw < self.tail_chance.to(triples.device)[triples[:, 1]]).unsqueeze(1)
        turned = triples[:, [2, 1, 0]].clone()
        turned[:, 1] += self.num_relations
        return torch.where(tail, triples, turned)

    def draw(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Draw corrupting entities. Shape: `size` = (B, N)."""
        return torch.randint(self.num_entities, size, generator=generator)


class UniformSampler(NegativeSampler):
    """Either side with equal chance."""

    def _tail_chance(self, triples: Triples) -> np.ndarray:
        return np.full(self.num_relations, 0.5, dtype=np.float32)


class BernoulliSampler(NegativeSampler):
    """The side whose corruption is less likely true: tph / (tph + hpt) for the head.

    Source: Wang et al., "Knowledge Graph Embedding by Translating on Hyperplanes", AAAI 2014,
    section "Reducing False Negative Labels".
    """

    def _tail_chance(self, triples: Triples) -> np.ndarray:
        count = np.bincount(triples[:, 1], minlength=self.num_relations)
        heads, tails = (
            np.bincount(np.unique(triples[:, [1, side]], axis=0)[:, 0], minlength=len(count))
            for side in (0, 2)
        )
        tails_per_head = count / np.maximum(heads, 1)
        heads_per_tail = count / np.maximum(tails, 1)
        total = np.maximum(tails_per_head + heads_per_tail, 1)
        return np.asarray(heads_per_tail / total, dtype=np.float32)


SAMPLERS: dict[str, type[NegativeSampler]] = {
    "uniform": UniformSampler,
    "bernoulli": BernoulliSampler,
}
