"""Training facts that are most like a triple: what a model may have gone by.

A fact (h', r, t') is as like (h, r, t) as h' is like h and t' like t. Two entities are as alike as
the cosine of their queries of the relation, so that only what matters to the relation counts; of
all blocks of embeddings, by the share that each has in the triple's score.

Shapes: B triples, F training facts of a relation, D width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.encoded_block import EncodedBlock
from model.prediction.evidence import block_shares, in_proportion
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Triples

_NUMBERS_AT_ONCE = 2**24  # similarities in memory


@dataclass(frozen=True)
class NearestFacts:
    """The facts most like each of some triples.

    Attributes:
        similarities: Between 0 and 1, the largest first. Shape: (B, k).
        heads: Entities. Shape: (B, k).
        tails: Entities. Shape: (B, k).
    """

    similarities: Tensor
    heads: Tensor
    tails: Tensor


class FactIndex:
    """The training facts of a graph, by relation.

    Args:
        facts: Training triples. Shape: (num_triples, 3).
        num_relations: Inverses not counted.
    """

    def __init__(self, facts: Triples, num_relations: int) -> None:
        unique = np.unique(facts, axis=0)
        by_relation = unique[np.argsort(unique[:, 1], kind="stable")]
        self._starts = np.searchsorted(by_relation[:, 1], np.arange(num_relations + 1))
        self._facts = torch.from_numpy(by_relation)

    @torch.inference_mode()
    def nearest(
        self,
        scoring: BlockScoring,
        relation: int,
        heads: Tensor,
        tails: Tensor,
        k: int,
        shares: Tensor | None = None,
    ) -> NearestFacts:
        """Find the facts of a relation that are most like triples of it.

        Args:
            scoring: The model trained on them.
            relation: Index, inverses not counted.
            heads: Entities of the triples. Shape: (B,).
            tails: Entities of the triples. Shape: (B,).
            k: Facts wanted of each; fewer come where the relation has fewer. A triple that is a
                fact of training itself is none of its own.
            shares: Of `block_shares`, of the triples as they were asked for; by default as their
                tails are asked for. Shape: (B, num_blocks).
        """
        facts = self._facts[self._starts[relation] : self._starts[relation + 1]]
        if shares is None:
            shares = block_shares(scoring, heads, torch.full_like(heads, relation), tails)
        chunk = max(1, _NUMBERS_AT_ONCE // max(1, len(facts)))
        chunks = zip(heads.split(chunk), tails.split(chunk), shares.split(chunk), strict=True)
        parts = [
            _similarities(scoring, relation, some, ends, of_block, facts).topk(min(k, len(facts)))
            for some, ends, of_block in chunks
        ]
        similarities = torch.cat([part.values for part in parts])
        chosen = facts[torch.cat([part.indices for part in parts])]
        return NearestFacts(similarities, chosen[..., 0], chosen[..., 2])


def _similarities(
    scoring: BlockScoring,
    relation: int,
    heads: Tensor,
    tails: Tensor,
    shares: Tensor,
    facts: Tensor,
) -> Tensor:
    """Compare triples with facts; a triple with itself: -inf. Shape: (B, F)."""
    inverse = relation + scoring.num_relations
    fact_heads, fact_tails = facts[:, 0], facts[:, 2]
    of_encoded = in_proportion(shares[:, : len(scoring.encoded)])
    total = torch.zeros(len(heads), len(facts))
    for block, share in zip(scoring.encoded, of_encoded.unbind(1), strict=True):
        heads_alike = _alike(block, relation, heads, fact_heads)
        total += share[:, None] * heads_alike * _alike(block, inverse, tails, fact_tails)
    is_itself = (heads[:, None] == fact_heads) & (tails[:, None] == fact_tails)
    return total.masked_fill(is_itself, -torch.inf)


def _alike(block: EncodedBlock, relation: int, entities: Tensor, others: Tensor) -> Tensor:
    """Compare entities as a relation sees them. Shapes: (B,), (F,) -> (B, F), from 0 to 1.

    Entities that occur more than once are compared once. An entity that the block has nothing of
    is like itself alone.
    """
    (rows, place), (columns, other_place) = (
        torch.unique(who, return_inverse=True) for who in (entities, others)
    )
    row = block.relations[[relation]]
    left, right = (
        F.normalize(block.scorer.query(block.entities[who], row.expand(len(who), -1)), dim=1)
        for who in (rows, columns)
    )
    is_known = block.present[rows][:, None] & block.present[columns]
    cosines = (left @ right.T).clamp(0, 1) * is_known
    alike = torch.where(rows[:, None] == columns, 1.0, cosines)
    return alike[:, other_place][place]
