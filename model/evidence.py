"""What spoke for an answer: the share of every modality in its score.

Shapes: B answers, E entities, M modalities.
"""

import torch
from torch import Tensor

from model.config import CONTENT
from model.scoring import BlockScoring


@torch.inference_mode()
def modality_shares(
    scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> dict[str, Tensor]:
    """Divide answers' scores among modalities.

    A block's share in an answer (see `block_shares`) is divided among what speaks in the block by
    the mean of their shares in the embeddings of the question's and the answer's entity; where
    neither has anything of it, it goes to `content`.

    Args:
        scoring: The model.
        heads: Entities of the questions. Shape: (B,).
        relations: As in `BlockScoring.scores`. Shape: (B,).
        answers: Entities. Shape: (B,).

    Returns:
        By modality, and by part of the model, shares that are at least 0 and sum to 1. Shape: (B,).
    """
    parts = block_shares(scoring, heads, relations, answers)
    shares: dict[str, Tensor] = {}
    unsaid = torch.zeros(len(heads), device=parts.device)
    for block, part in zip(scoring.blocks, parts.unbind(1), strict=True):
        weights = block.shares[heads] + block.shares[answers]
        total = weights.sum(1)
        divided = part / total.clamp_min(torch.finfo().tiny)
        for name, weight in zip(block.modalities, weights.unbind(1), strict=True):
            shares[name] = shares.get(name, 0) + divided * weight
        unsaid += part * (total == 0)
    may_be_unsaid = any(bool((block.shares.sum(1) == 0).any()) for block in scoring.blocks)
    return {**shares, CONTENT: unsaid} if may_be_unsaid else shares  # alike for all answers


@torch.inference_mode()
def block_shares(
    scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> Tensor:
    """Divide answers' scores among blocks: what each adds above its mean, in proportion.

    Where none adds anything, all have the same share. The arguments are those of `modality_shares`.

    Returns:
        Shares that are at least 0 and sum to 1. Shape: (B, num_blocks).
    """
    parts = scoring.block_parts(heads, relations, answers)
    above = parts.clamp_min(0)
    total = above.sum(1, keepdim=True)
    alike = torch.full_like(above, 1 / parts.shape[1])
    return torch.where(total > 0, above / total.clamp_min(torch.finfo().tiny), alike)
