"""What spoke for an answer: the share of every modality, and of each of its experts, in its score.

Shapes: B answers, K experts.
"""

import numpy as np
import torch
from torch import Tensor

from model.config import CONTENT
from model.inputs import with_inverses
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Triples

_NUMBERS_AT_ONCE = 2**24  # scores of a block in memory


def modality_shares(
    scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> dict[str, Tensor]:
    """Divide answers' scores among modalities: the sums over experts of `expert_shares`.

    Returns:
        By modality, and by part of the model, shares that are at least 0 and sum to 1. Shape: (B,).
    """
    shares = expert_shares(scoring, heads, relations, answers)
    return {name: share.sum(1) for name, share in shares.items()}


@torch.inference_mode()
def expert_shares(
    scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> dict[str, Tensor]:
    """Divide answers' scores among the experts of all modalities.

    A block's share in an answer (see `block_shares`) is divided among what speaks in the block by
    the mean of their shares in the embeddings of the question's and the answer's entity, and then
    among the experts by their weights; where neither entity has anything, it goes to `content`.

    Args:
        scoring: The model.
        heads: Entities of the questions. Shape: (B,).
        relations: As in `BlockScoring.scores`. Shape: (B,).
        answers: Entities. Shape: (B,).

    Returns:
        By modality, and by part of the model, shares that are at least 0; all together sum to 1.
        Shape: (B, K), K being 1 for parts that have no experts.
    """
    return divided_shares(scoring, block_shares(scoring, heads, relations, answers), heads, answers)


def divided_shares(
    scoring: BlockScoring, parts: Tensor, heads: Tensor, answers: Tensor
) -> dict[str, Tensor]:
    """Divide the shares of blocks among the experts of all modalities, as `expert_shares`.

    Args:
        scoring: The model.
        parts: Of `block_shares`. Shape: (B, num_blocks).
        heads: Entities of the questions. Shape: (B,).
        answers: Entities. Shape: (B,).

    Returns:
        As `expert_shares`.
    """
    shares: dict[str, Tensor] = {}
    unsaid = torch.zeros(len(heads), device=parts.device)
    for block, part in zip(scoring.blocks, parts.unbind(1), strict=True):
        weights = block.shares[heads] + block.shares[answers]
        total = weights.sum(1)
        divided = part / total.clamp_min(torch.finfo().tiny)
        for index, name in enumerate(block.modalities):
            of_modality = (divided * weights[:, index]).unsqueeze(1)
            shares[name] = shares.get(name, 0) + of_modality * block.experts[index]
        unsaid += part * (total == 0)
    may_be_unsaid = any(bool((block.shares.sum(1) == 0).any()) for block in scoring.blocks)
    rest = {CONTENT: unsaid.unsqueeze(1)} if may_be_unsaid else {}  # alike for all answers
    return {**shares, **rest}


@torch.inference_mode()
def block_shares(
    scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> Tensor:
    """Divide answers' scores among blocks: what each adds above its mean, in proportion.

    Where none adds anything, all have the same share. The arguments are those of `expert_shares`.

    Returns:
        Shares that are at least 0 and sum to 1. Shape: (B, num_blocks).
    """
    return in_proportion(scoring.block_parts(heads, relations, answers))


@torch.inference_mode()
def shares_of_triples(scoring: BlockScoring, heads: Tensor, relation: int, tails: Tensor) -> Tensor:
    """Return `block_shares` of triples of one relation, each head scored once.

    Args:
        scoring: The model.
        heads: Shape (B,).
        relation: As in `BlockScoring.scores`.
        tails: Shape (B,).
    """
    some, place = torch.unique(heads, return_inverse=True)
    parts = torch.empty(len(heads), len(scoring.blocks))
    size = max(1, _NUMBERS_AT_ONCE // scoring.num_entities)
    for first in range(0, len(some), size):
        chunk = some[first : first + size]
        rows = torch.nonzero((place >= first) & (place < first + size))[:, 0]
        of_row, ends = place[rows] - first, tails[rows]
        by_block = scoring.weighted_scores(chunk, torch.full_like(chunk, relation))
        for index, scores in enumerate(by_block):
            parts[rows, index] = scores[of_row, ends] - scores.mean(1)[of_row]
    return in_proportion(parts)


def shares_by_relation(scoring: BlockScoring, triples: Triples, most: int) -> Tensor:
    """Find how much each block speaks for triples of each relation.

    Args:
        scoring: The model.
        triples: Both ends of each are asked for. Shape: (N, 3).
        most: Triples of a relation that are looked at; of more, a sample.

    Returns:
        Mean of `block_shares`; NaN for relations that have no triple. Shape: (relations,
        num_blocks).
    """
    mixed = np.random.default_rng(0).permutation(triples)
    chosen = [mixed[mixed[:, 1] == it][:most] for it in range(scoring.num_relations)]
    found = torch.full((len(chosen), len(scoring.blocks)), torch.nan)
    for relation, some in enumerate(chosen):
        if len(some):
            questions = torch.from_numpy(with_inverses(some, scoring.num_relations))
            chunks = questions.split(max(1, _NUMBERS_AT_ONCE // scoring.num_entities))
            shares = [block_shares(scoring, *chunk.unbind(1)) for chunk in chunks]
            found[relation] = torch.cat(shares).mean(0)
    return found


def in_proportion(parts: Tensor) -> Tensor:
    """Turn what blocks add into shares of what all add that add something. (B, any), both."""
    above = parts.clamp_min(0)
    total = above.sum(1, keepdim=True)
    alike = torch.full_like(above, 1 / parts.shape[1])
    return torch.where(total > 0, above / total.clamp_min(torch.finfo().tiny), alike)
