"""Completing a graph: the most probable triples of a relation that it lacks.

Shapes: R relations (inverses not counted), B questions of a chunk, E entities, n triples.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from model.prediction.both_questions import by_both_questions
from model.probability.triple_probabilities import CONTRADICTING, Unanswered

_Found = tuple[Tensor, Tensor]  # probabilities, (n,), and rows of entity and answer, (n, 2)
_Search = Callable[[Unanswered, int, int, int], _Found]

_FEWEST_TRIPLES = 50
"""Triples of a relation that are looked at by both of their questions, whatever k is."""


@torch.inference_mode()
def most_probable_missing(
    unanswered: Unanswered,
    relation: int,
    k: int,
    chunk_size: int = 512,
    per_head: int | None = None,
) -> list[tuple[float, int, int]]:
    """Find the k most probable triples of a relation that are neither known nor known to be wrong.

    Asked are the questions that may have a further answer: see `FurtherAnswers.worth_asking`.

    Args:
        unanswered: The model, and what may be asked of it.
        relation: Index, below R.
        k: Triples wanted.
        chunk_size: Questions at once; memory is chunk_size * E * 8 bytes a few times over.
        per_head: Triples of one head at most, its most probable ones; None for any number. The k
            triples are the most probable ones that this leaves.

    Returns:
        Probability, head and tail, the most probable first.
    """
    find: _Search = _likeliest if per_head is None else partial(_likeliest_of_heads, per_head)
    considered = max(2 * k, _FEWEST_TRIPLES)
    opposite = unanswered.further.opposite(relation)
    by_tail = find(unanswered, relation, considered, chunk_size)[1]
    by_head = find(unanswered, opposite, considered, chunk_size)[1].flip(1)
    pairs = torch.cat([by_tail, by_head]).unique(dim=0)
    probabilities, pairs = by_both_questions(unanswered, relation, pairs)
    order = probabilities.argsort(descending=True, stable=True)
    if per_head is not None:
        order = order[_best_of_each(pairs[order, 0], probabilities[order], per_head).sort().values]
    best = order[:k]
    heads, tails = pairs[best].unbind(1)
    found = zip(probabilities[best].tolist(), heads.tolist(), tails.tolist(), strict=True)
    return list(found)


def _likeliest(unanswered: Unanswered, question: int, k: int, chunk_size: int) -> _Found:
    """Find the k most probable answers to one question, whichever entity it is asked of.

    Only what may be among them is sorted: most of the time goes into scores.
    """
    best, pairs = _nothing()
    for entities in unanswered.further.worth_asking(question).split(chunk_size):
        found = unanswered.of_all(entities, question)
        # Each row's best one is an answer, so at least k are as good as the k-th of these.
        bound = max(_kth_largest(best, k), _kth_largest(found.amax(1), k))
        rows, answers = torch.nonzero((found >= bound) & (found > CONTRADICTING), as_tuple=True)
        best = torch.cat([best, found[rows, answers]])
        pairs = torch.cat([pairs, torch.stack([entities[rows], answers], dim=1)])
        best, kept = best.topk(min(k, len(best)))
        pairs = pairs[kept]
    return best, pairs


def _nothing() -> _Found:
    return torch.empty(0, dtype=torch.double), torch.empty(0, 2, dtype=torch.long)


def _likeliest_of_heads(
    per_head: int, unanswered: Unanswered, question: int, k: int, chunk_size: int
) -> _Found:
    """Find the k most probable answers, no more than so many to a head.

    The head of a triple is the entity that is asked about, or the answer where heads are asked for.
    What a chunk may add to a head's best is no more than its own best of that head, so only those
    are kept.
    """
    best, pairs = _nothing()
    asks_for_tails = question < unanswered.further.num_questions // 2
    for entities in unanswered.further.worth_asking(question).split(chunk_size):
        found = unanswered.of_all(entities, question)
        by_head = found if asks_for_tails else found.T
        top = by_head.topk(min(per_head, by_head.shape[1]))
        rows, places = torch.nonzero(top.values > CONTRADICTING, as_tuple=True)
        others = top.indices[rows, places]
        new = (entities[rows], others) if asks_for_tails else (entities[others], rows)
        best = torch.cat([best, top.values[rows, places]])
        pairs = torch.cat([pairs, torch.stack(new, dim=1)])
        if not asks_for_tails:  # whose heads come again in every chunk
            kept = _best_of_each(pairs[:, 1], best, per_head)
            best, pairs = best[kept], pairs[kept]
    best, kept = best.topk(min(k, len(best)))
    return best, pairs[kept]


def _best_of_each(groups: Tensor, values: Tensor, most: int) -> Tensor:
    """Return the places of the largest values of each group. Shapes: (n,), (n,) -> (any,)."""
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    rank = torch.arange(len(order)) - torch.searchsorted(sorted_groups, sorted_groups)
    return order[rank < most]


def _kth_largest(values: Tensor, k: int) -> float:
    """The k-th largest of some numbers; -inf if there are fewer."""
    return float(values.topk(k).values[-1]) if len(values) >= k else -math.inf
