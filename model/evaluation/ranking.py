"""Filtered ranking: where the true answer stands among all entities.

Shapes: Q questions (twice the number of triples: tails, then heads), E entities.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.inputs import KnownTails, with_inverses
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import SPLITS, Graph, Split, Triples


@dataclass(frozen=True)
class Ranking:
    """Ranks of the true answers to the questions that triples ask.

    Attributes:
        triples: The triples, (n, 3).
        tail_ranks: Rank of each triple's tail, (n,); 1 is best.
        head_ranks: Rank of each triple's head, (n,).
    """

    triples: Triples
    tail_ranks: NDArray[np.float64]
    head_ranks: NDArray[np.float64]

    def metrics(self, mask: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Mean metrics over both sides of the triples that `mask` selects, (n,)."""
        chosen = slice(None) if mask is None else mask
        return rank_metrics(np.concatenate([self.tail_ranks[chosen], self.head_ranks[chosen]]))


def rank_metrics(ranks: NDArray[np.float64]) -> dict[str, float]:
    """MRR, Hits@1/3/10, mean rank and the number of ranks; that number alone if it is 0."""
    if len(ranks) == 0:
        return {"num_ranks": 0}
    hits = {f"hits_at_{k}": float((ranks <= k).mean()) for k in (1, 3, 10)}
    return {
        "mrr": float((1 / ranks).mean()),
        **hits,
        "mr": float(ranks.mean()),
        "num_ranks": len(ranks),
    }


def known_answers(graph: Graph, device: torch.device, besides: Split | None = None) -> KnownTails:
    """All triples of all splits, both ways: what a filtered rank does not count as wrong.

    Args:
        graph: The graph.
        device: Where the answers are wanted.
        besides: A split to leave out, if its triples are what is asked for.
    """
    everything = np.concatenate([graph.split(name) for name in SPLITS if name != besides])
    triples = with_inverses(everything, graph.num_relations)
    return KnownTails(triples, 2 * graph.num_relations, device)


@torch.inference_mode()
def rank(
    scoring: BlockScoring, triples: Triples, known: KnownTails, chunk_size: int = 512
) -> Ranking:
    """Rank the tails and the heads of triples, filtered.

    A rank is the mean of the optimistic and the pessimistic rank among ties; a score that is not
    a number ranks last.

    Args:
        scoring: The model.
        triples: Shape (n, 3).
        known: Answers that do not count as wrong.
        chunk_size: Questions at once; the memory is chunk_size * E * 4 bytes a few times over.
    """
    questions = torch.from_numpy(with_inverses(triples, scoring.num_relations))
    # Rules cost less for questions of the same relation at once.
    order = questions[:, 1].argsort(stable=True)
    sorted_questions = questions[order].to(scoring.block_weights.device)
    ranks = torch.empty(len(questions))
    ranks[order] = torch.cat(
        [_ranks(scoring, chunk, known).cpu() for chunk in sorted_questions.split(chunk_size)]
    )
    tail_ranks, head_ranks = ranks.double().numpy().reshape(2, len(triples))
    return Ranking(triples, tail_ranks, head_ranks)


def _ranks(scoring: BlockScoring, questions: Tensor, known: KnownTails) -> Tensor:
    heads, relations, answers = questions.unbind(1)
    scores = scoring.scores(heads, relations)
    true_score = scores.gather(1, answers.unsqueeze(1))
    rows, tails = known.lookup(heads, relations)
    scores[rows, tails] = -torch.inf
    better = (scores > true_score).sum(1)
    equal = (scores == true_score).sum(1)
    last = torch.full_like(better, scoring.num_entities, dtype=torch.float)
    undefined = ~true_score.squeeze(1).isfinite()
    return torch.where(undefined, last, better + equal / 2 + 1)
