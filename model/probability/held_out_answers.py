"""Answers on a split that a model has not learned, and how much else is missing.

What a model has not learned counts as what a graph lacks: its train split is what is known, and
valid, test and what the dataset lacks itself are missing.

Shapes: R relations (inverses not counted).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.probability.further_answers import (
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.labelled_answers import LabelledAnswers, label_answers
from model.probability.missing_share import most_missing, times_expected
from model.probability.triple_probabilities import Unanswered
from model.scoring.blocks import BlockScoring
from storage.datasets.audit import triple_keys
from storage.datasets.graph import Graph, Split, Triples
from storage.datasets.keys import is_among
from storage.datasets.relation_types.learning import learn_relation_types

NUM_FOLDS = 3
MOST_CROSS_FITTED = 4000
"""Valid triples up to which block weights and calibration are fitted on different ones."""
_PRIOR_STRENGTH = 5.0  # facts that tie a relation's share of held-out ones to that of all

Refitted = Callable[[Triples], BlockScoring]
"""Returns a model with block weights that are fitted on some triples of valid, (n, 3)."""


@dataclass(frozen=True)
class HeldOutAnswers:
    """Answers, which of them hold, and how much is missing.

    Attributes:
        answers: Of a model that has not learned the split.
        share_known: Of answers like each relation's that hold, the share that is known to. Shape:
            (R,), float64.
        missing_share: Share of all facts that the whole graph is taken to lack.
        most_missing: Share that it can lack at most.
    """

    answers: LabelledAnswers
    share_known: Tensor
    missing_share: float
    most_missing: float


class _Part(NamedTuple):
    """A model, the triples that label its answers, and triples that are left out of them."""

    scoring: BlockScoring
    truths: Triples
    ignored: Triples


def answers_on_valid(graph: Graph, scoring: BlockScoring, refitted: Refitted) -> HeldOutAnswers:
    """Label answers of a model that knows train by valid.

    Where valid is small, block weights and calibration are fitted on different parts of it in turn
    (cross-fitting), as both on the same triples would promise too much.

    Args:
        graph: The graph that the model was trained and selected on.
        scoring: The model, its block weights fitted on all of valid.
        refitted: See `Refitted`.
    """
    valid = _held_out(graph, "valid", ("train",))
    order = np.random.default_rng(0).permutation(len(valid))
    is_small = NUM_FOLDS <= len(valid) <= MOST_CROSS_FITTED
    folds = np.array_split(valid[order], NUM_FOLDS) if is_small else [valid]
    parts = []
    for number, fold in enumerate(folds):
        others = np.concatenate([graph.valid[:0], *folds[:number], *folds[number + 1 :]])
        parts.append(_Part(refitted(others) if len(others) else scoring, fold, others))
    return _within_bound(graph, ("train",), parts)


def answers_on_test(graph: Graph, scoring: BlockScoring) -> HeldOutAnswers:
    """Label answers of a model that knows train and valid by test.

    Args:
        graph: The graph that the model was trained and selected on.
        scoring: The model.
    """
    test = _held_out(graph, "test", ("train", "valid"))
    return _within_bound(graph, ("train", "valid"), [_Part(scoring, test, test[:0])])


def _within_bound(graph: Graph, splits: Sequence[Split], parts: Sequence[_Part]) -> HeldOutAnswers:
    """Label answers with the share held out missing, or the most that can be if that is less."""
    share = share_held_out(graph)
    found = _answers_if(graph, splits, parts, share)
    if found.most_missing >= share:
        return found
    less = _answers_if(graph, splits, parts, found.most_missing)
    return replace(less, most_missing=found.most_missing)


def _answers_if(
    graph: Graph, splits: Sequence[Split], parts: Sequence[_Part], missing_share: float
) -> HeldOutAnswers:
    """Label answers with some share of all facts missing from the whole graph."""
    known = np.unique(np.concatenate([graph.split(name) for name in splits]), axis=0)
    num_facts = len(known_triples(graph))
    num_missing = num_facts / (1 - missing_share) - len(known)
    then = replace(graph, train=known, valid=known[:0], test=known[:0])
    participation = learn_participation(then, known)
    answers = LabelledAnswers.together(
        [
            label_answers(
                _asked_then(then, part.scoring, participation, num_missing),
                part.truths,
                part.ignored,
            )
            for part in parts
        ]
    )
    truths = np.concatenate([part.truths for part in parts])
    share_missing = _share_by_relation(known, truths, num_missing, graph.num_relations)
    share_known = _with_ignored(share_missing, len(parts))
    times = times_expected(answers, share_known)
    most = 1.0
    if times > 0:
        of_all = torch.tensor(len(truths) / num_missing, dtype=torch.double)
        least = _without_ignored(_with_ignored(of_all, len(parts)) * times, len(parts))
        most = most_missing(num_facts, len(known), len(truths) / min(float(least), 1.0))
    return HeldOutAnswers(answers, share_known, missing_share, most)


def _asked_then(
    then: Graph, scoring: BlockScoring, participation: Tensor, num_missing: float
) -> Unanswered:
    """Return a model that is asked to complete what was known then."""
    device, num_known = scoring.block_weights.device, len(then.train)
    calibration = replace(scoring.calibration, participation=participation.to(device))
    share = num_missing / (num_known + num_missing)
    types = learn_relation_types(then)
    return Unanswered.of(replace(scoring, calibration=calibration), then, types, share)


def _share_by_relation(
    known: Triples, truths: Triples, num_missing: float, num_relations: int
) -> Tensor:
    """Return, of each relation's missing facts, the share that is among some triples.

    A split may hold out facts of some relations only. Relations of few facts are tied to all.

    Returns:
        Shape (R,), float64, above 0 and at most 1.
    """
    counts: NDArray[np.int64] = np.bincount(truths[:, 1], minlength=num_relations)
    missing = np.bincount(known[:, 1], minlength=num_relations) * (num_missing / len(known))
    of_all = len(truths) / max(num_missing, 1.0)
    shares = (counts + _PRIOR_STRENGTH * of_all) / (missing + _PRIOR_STRENGTH)
    return torch.from_numpy(np.clip(shares, 1e-6, 1.0))


def _with_ignored(shares: Tensor, num_parts: int) -> Tensor:
    """Return what is known of what is not ignored, where each part ignores what the others know."""
    return shares / (num_parts - shares * (num_parts - 1))


def _without_ignored(shares: Tensor, num_parts: int) -> Tensor:
    """Undo `_with_ignored`."""
    return shares * num_parts / (1 + shares * (num_parts - 1))


def _held_out(graph: Graph, split: Split, before: Sequence[Split]) -> Triples:
    """Return the distinct triples of a split that stand in none of those before it."""
    triples = np.unique(graph.split(split), axis=0)
    known = np.concatenate([graph.split(name) for name in before])
    return triples[~is_among(triple_keys(graph, triples), np.unique(triple_keys(graph, known)))]
