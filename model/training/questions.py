"""What an epoch asks: which questions come together, and which negatives are drawn for them.

Chance is drawn on the CPU, so that it is the same on every device. Shapes: n training triples, B
questions of a batch, N negatives of each.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from model.config import TrainConfig
from model.inputs import with_inverses
from model.negatives.samplers import SAMPLERS
from model.training.epoch_order import EpochOrder
from storage.datasets.graph import Triples


class Questions:
    """Draws the questions of an epoch.

    All entities are asked for both sides of every triple; a sample, for one of them.

    Args:
        triples: The training triples. Shape: (n, 3).
        num_entities: How many there are.
        num_relations: The same; inverses not counted.
        config: `negatives`, `batch_size` and `answers_at_once` count.
    """

    def __init__(
        self, triples: Triples, num_entities: int, num_relations: int, config: TrainConfig
    ) -> None:
        self.triples = torch.from_numpy(with_inverses(triples, num_relations))
        self._is_sampled = config.negatives.mode == "sampled"
        self._num_negatives = config.negatives.num
        self._size = max(1, config.batch_size // 2) if self._is_sampled else config.batch_size
        self._answers_at_once = config.answers_at_once
        self._sampler = SAMPLERS[config.negatives.sampler](triples, num_entities, num_relations)

    @cached_property
    def _order(self) -> EpochOrder:
        return EpochOrder(self.triples, self._answers_at_once)

    def batches(
        self, held_back: Tensor, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Ask about all training triples, in random order.

        Args:
            held_back: Triples that are not asked about, by index.
            generator: Source of chance, on the CPU.

        Yields:
            The triples of a batch, by index, and what is asked of them. Shapes: (B,), (B, 3).
        """
        num_triples = len(self.triples) // 2
        if self._is_sampled:
            order = torch.randperm(num_triples, generator=generator)
        else:
            order = self._order.draw(generator)
        order = order[~torch.isin(order % num_triples, held_back.cpu())]
        for batch in order.split(self._size):
            questions = self.triples[batch]
            if self._is_sampled:
                questions = self._sampler.questions(questions, generator)
            yield batch % num_triples, questions

    def negatives(self, num: int, num_blocks: int, generator: torch.Generator) -> list[Tensor]:
        """Draw the negatives of some questions for every block; none where all entities are.

        Args:
            num: B.
            num_blocks: For so many.
            generator: Source of chance, on the CPU.

        Returns:
            Shape of each: (B, N).
        """
        if not self._is_sampled:
            return []
        size = (num, self._num_negatives)
        return [self._sampler.draw(size, generator) for _ in range(num_blocks)]
