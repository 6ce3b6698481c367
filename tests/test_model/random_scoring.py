"""Scoring by embeddings that were drawn and not learned."""

from dataclasses import replace

import torch

from model.config import CONTENT, STRUCTURE, ScorerName
from model.encoded_block import EncodedBlock
from model.scorers import build_scorer
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import NUM_FEATURES, Calibration, Lines

DIM = 8  # with it, TuckER's scale is a whole number, too


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

    def draw_block(
        name: str, present: torch.Tensor, modalities: tuple[str, ...], shares: torch.Tensor
    ) -> EncodedBlock:
        how = build_scorer(scorer, DIM)
        for parameter in how.parameters():
            parameter.data = draw(*parameter.shape)
        relations = draw(2 * num_relations, how.relation_dim)
        entities = draw(num_entities, DIM)
        experts = draw(len(modalities), 2 if name == CONTENT else 1).abs() + 1
        experts = experts / experts.sum(1, keepdim=True)
        return EncodedBlock(name, entities, relations, present, how, modalities, shares, experts)

    has_content, has_row = torch.arange(num_entities) % 3 > 0, torch.arange(num_entities) % 4 > 0
    shares = torch.rand(num_entities, 2, generator=generator) * has_content[:, None]
    everything = torch.ones(num_entities, 1)
    blocks = [
        draw_block(CONTENT, has_content, ("image", "text"), shares),
        draw_block(STRUCTURE, has_row, (STRUCTURE,), everything),
    ]
    block_weights = draw(2 * num_relations, 2).abs() + 1
    first = [draw(num_relations), *draw(2, num_relations).abs() + 0.1]
    weights = torch.stack([*first, *draw(NUM_FEATURES - 3, num_relations) * 0.1], dim=1)
    roots = draw(num_relations, NUM_FEATURES, NUM_FEATURES) * 0.1
    lines = Lines(weights, roots @ roots.mT)
    chances = torch.rand(3, 2 * num_relations, generator=generator) * 0.8 + 0.1
    participation = torch.cat([chances, torch.full((3, 1), 1 / 3)], dim=1)
    none = Calibration.none(num_relations)
    calibration = replace(none, lines=lines, participation=participation, missing_share=0.3)
    return BlockScoring(blocks, block_weights, calibration)
