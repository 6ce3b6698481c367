"""Completing a graph: which questions to ask of which entities, and the best missing answers.

Shapes: E entities, R relations (inverses not counted), Q questions, B questions of a chunk.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.inputs import KnownTails, with_inverses
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import SPLITS, Graph

_Search = Callable[[BlockScoring, Tensor, KnownTails, int, int, int], tuple[Tensor, Tensor]]

MIN_SHARED = 0.5
"""An entity that takes part in s is asked about r if this share of all that take part in s also
takes part in r: a thing with a shape is asked for its colour, a colour is not."""


def expected_questions(graph: Graph) -> NDArray[np.bool_]:
    """Which entity can be expected to have an answer to which question.

    Returns:
        Entry (e, r): whether to ask (e, r, ?), or (?, r - R, e) for r >= R. Shape: (E, 2R).
    """
    everything = np.concatenate([graph.split(name) for name in SPLITS])
    both_ways = with_inverses(everything, graph.num_relations)
    takes_part = np.zeros((graph.num_entities, 2 * graph.num_relations), dtype=np.float32)
    takes_part[both_ways[:, 0], both_ways[:, 1]] = 1
    together = takes_part.T @ takes_part
    implied = together / np.maximum(np.diag(together), 1)[:, None] >= MIN_SHARED
    return np.asarray(takes_part @ implied > 0)


@torch.inference_mode()
def most_probable_missing(
    scoring: BlockScoring,
    asked: NDArray[np.bool_],
    known: KnownTails,
    relation: int,
    k: int,
    chunk_size: int = 512,
    per_head: int | None = None,
) -> list[tuple[float, int, int]]:
    """Find the k most probable triples of a relation that stand in no split.

    Triples of an entity with itself are left out. A triple's probability is the larger of those
    that the two questions give which may lead to it.

    Args:
        scoring: The model.
        asked: Which questions to ask; see `expected_questions`. Shape: (E, 2R).
        known: All triples that are known.
        relation: Index, below R.
        k: Triples wanted.
        chunk_size: Questions at once; memory is chunk_size * E * 4 bytes a few times over.
        per_head: Triples of one head at most, its most probable ones; None for any number. The k
            triples are the most probable ones that this leaves.

    Returns:
        Probability, head and tail, the most probable first.
    """
    find: _Search = _likeliest if per_head is None else partial(_likeliest_of_heads, per_head)
    best: dict[tuple[int, int], float] = {}
    for index in (relation, relation + scoring.num_relations):
        askers = torch.from_numpy(np.flatnonzero(asked[:, index]))
        log_shares, pairs = find(scoring, askers, known, index, k, chunk_size)
        odds = scoring.calibrated_log_odds(log_shares[None], torch.tensor([index]))[0]
        for value, (asker, answer) in zip(odds.tolist(), pairs.tolist(), strict=True):
            pair = (asker, answer) if index == relation else (answer, asker)
            best[pair] = max(best.get(pair, -math.inf), value)
    ranked = _most_probable(((value, *pair) for pair, value in best.items()), k, per_head)
    chances = torch.tensor([value for value, *_ in ranked], dtype=torch.float64).sigmoid()
    return [(chance, *pair) for chance, (_, *pair) in zip(chances.tolist(), ranked, strict=True)]


def _likeliest(
    scoring: BlockScoring,
    askers: Tensor,
    known: KnownTails,
    question: int,
    k: int,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """Find the k answers to one question, whoever asks, that the model believes in most.

    Only what may be among them is sorted and told: most of the time goes into scores.

    Returns:
        Logarithms of the beliefs, (n,), and rows of asker and answer, (n, 2), for n <= k.
    """
    best, pairs = torch.empty(0), torch.empty(0, 2, dtype=torch.long)
    for heads in askers.split(chunk_size):
        questions = torch.full_like(heads, question)
        found = _log_shares_of_missing(scoring, heads, questions, known)
        # Each row's best one is an answer, so at least k are as good as the k-th of these.
        bound = max(_kth_largest(best, k), _kth_largest(found.amax(1), k))
        rows, answers = torch.nonzero((found >= bound) & (found > -torch.inf), as_tuple=True)
        best = torch.cat([best, found[rows, answers]])
        pairs = torch.cat([pairs, torch.stack([heads[rows], answers], dim=1)])
        best, kept = best.topk(min(k, len(best)))
        pairs = pairs[kept]
    return best, pairs


def _log_shares_of_missing(
    scoring: BlockScoring, heads: Tensor, questions: Tensor, known: KnownTails
) -> Tensor:
    """Return beliefs; -inf in what is known, and in an entity as its own answer. Shape: (B, E)."""
    found = scoring.log_shares(heads, questions)
    found[known.lookup(heads, questions)] = -torch.inf
    found[torch.arange(len(heads)), heads] = -torch.inf
    return found


def _likeliest_of_heads(
    per_head: int,
    scoring: BlockScoring,
    askers: Tensor,
    known: KnownTails,
    question: int,
    k: int,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """Find the k answers that the model believes in most, no more than so many to a head.

    The head of a triple is whoever asks for tails, and the answer to whoever asks for heads. What a
    chunk may add to a head's best is no more than its own best of that head, so only those are
    kept.

    Returns:
        As `_likeliest`.
    """
    best, pairs = torch.empty(0), torch.empty(0, 2, dtype=torch.long)
    asks_for_tails = question < scoring.num_relations
    for heads in askers.split(chunk_size):
        questions = torch.full_like(heads, question)
        found = _log_shares_of_missing(scoring, heads, questions, known)
        by_head = found if asks_for_tails else found.T
        top = by_head.topk(min(per_head, by_head.shape[1]))
        rows, places = torch.nonzero(top.values > -torch.inf, as_tuple=True)
        others = top.indices[rows, places]
        new = (heads[rows], others) if asks_for_tails else (heads[others], rows)
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


def _most_probable(
    found: Iterable[tuple[float, int, int]], k: int, per_head: int | None
) -> list[tuple[float, int, int]]:
    """Return the k likeliest triples, (log-odds, head, tail), no more than so many of a head."""
    if per_head is None:
        return heapq.nlargest(k, found)
    num_taken: Counter[int] = Counter()
    taken = []
    for triple in sorted(found, reverse=True):
        if num_taken[triple[1]] < per_head:
            num_taken[triple[1]] += 1
            taken.append(triple)
    return taken[:k]


def _kth_largest(values: Tensor, k: int) -> float:
    """The k-th largest of some numbers; -inf if there are fewer."""
    if len(values) < k:
        return -math.inf
    return float(values.nan_to_num(-torch.inf).topk(k).values[-1])
