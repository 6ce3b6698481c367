"""Scoring by embeddings that were drawn and not learned."""

import torch

from model.config import CONTENT, STRUCTURE, ScorerName
from model.mocme import EncodedBlock
from model.scoring import BlockScoring

DIM = 6


def random_scoring(
    num_entities: int,
    num_relations: int,
    scorer: ScorerName = "complex",
    whole_numbers: bool = False,
    seed: int = 0,
) -> BlockScoring:
    """Draw two blocks; whole numbers make for many ties, without rounding.

    Args:
        num_entities: E.
        num_relations: Inverses not counted.
        scorer: How blocks score.
        whole_numbers: Whether all numbers are -1, 0 or 1, and the weights 1 or 2.
        seed: Of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        if whole_numbers:
            return torch.randint(-1, 2, shape, generator=generator).float()
        return torch.randn(shape, generator=generator)

    blocks = [
        EncodedBlock(name, draw(num_entities, DIM), draw(2 * num_relations, DIM), present)
        for name, present in (
            (CONTENT, torch.arange(num_entities) % 3 > 0),
            (STRUCTURE, torch.arange(num_entities) % 4 > 0),
        )
    ]
    block_weights = draw(2 * num_relations, 2).abs() + 1
    modality_weights = draw(num_entities, 2).abs() * (torch.arange(num_entities) % 3 > 0)[:, None]
    return BlockScoring(scorer, blocks, block_weights, ("image", "text"), modality_weights)
