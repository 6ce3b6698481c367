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
from model.prediction.evidence import in_proportion
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
        self, scoring: BlockScoring, relation: int, heads: Tensor, tails: Tensor, k: int
    ) -> NearestFacts:
        """Find the facts of a relation that are most like triples of it.

        Args:
            scoring: The model trained on them.
            relation: Index, inverses not counted.
            heads: Entities of the triples. Shape: (B,).
            tails: Entities of the triples. Shape: (B,).
            k: Facts wanted of each; fewer come where the relation has fewer. A triple that is a
                fact of training itself is none of its own.
        """
        facts = self._facts[self._starts[relation] : self._starts[relation + 1]]
        chunk = max(1, _NUMBERS_AT_ONCE // max(1, len(facts)))
        parts = [
            _similarities(scoring, relation, *pair, facts).topk(min(k, len(facts)))
            for pair in zip(heads.split(chunk), tails.split(chunk), strict=True)
        ]
        similarities = torch.cat([part.values for part in parts])
        chosen = facts[torch.cat([part.indices for part in parts])]
        return NearestFacts(similarities, chosen[..., 0], chosen[..., 2])


def _similarities(
    scoring: BlockScoring, relation: int, heads: Tensor, tails: Tensor, facts: Tensor
) -> Tensor:
    """Compare triples with facts; a triple with itself: -inf. Shape: (B, F)."""
    inverse = relation + scoring.num_relations
    fact_heads, fact_tails = facts[:, 0], facts[:, 2]
    parts = scoring.block_parts(heads, torch.full_like(heads, relation), tails)
    shares = in_proportion(parts[:, : len(scoring.encoded)])
    total = torch.zeros(len(heads), len(facts))
    for block, share in zip(scoring.encoded, shares.unbind(1), strict=True):
        heads_alike = _alike(block, relation, heads, fact_heads)
        total += share[:, None] * heads_alike * _alike(block, inverse, tails, fact_tails)
    is_itself = (heads[:, None] == fact_heads) & (tails[:, None] == fact_tails)
    return total.masked_fill(is_itself, -torch.inf)


def _alike(block: EncodedBlock, relation: int, entities: Tensor, others: Tensor) -> Tensor:
    """Compare entities as a relation sees them. Shapes: (B,), (F,) -> (B, F), from 0 to 1.

    Of whom the block knows nothing, it knows only that they are themselves.
    """
    some, place = torch.unique(others, return_inverse=True)
    row = block.relations[[relation]]
    left, right = (
        F.normalize(block.scorer.query(block.entities[who], row.expand(len(who), -1)), dim=1)
        for who in (entities, some)
    )
    is_known = block.present[entities][:, None] & block.present[some]
    cosines = (left @ right.T).clamp(0, 1) * is_known
    return torch.where(entities[:, None] == some, 1.0, cosines)[:, place]
