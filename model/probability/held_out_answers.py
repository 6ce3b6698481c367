"""Answers on a split that a model has not learned.

What a model has not learned counts as what a graph lacks: its train split is what is known, and
valid, test and what the dataset lacks itself are missing.

Shapes: R relations (inverses not counted).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.probability.further_answers import (
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.labelling import label_answers
from model.probability.triple_probabilities import Unanswered
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import NUM_FEATURES
from model.scoring.held_out import HeldOutAnswers, LabelledAnswers
from storage.datasets.audit import triple_keys
from storage.datasets.graph import Graph, Split, Triples
from storage.datasets.keys import is_among
from storage.datasets.relation_types.learning import learn_relation_types

NUM_FOLDS = 3
MOST_CROSS_FITTED = 4000
"""Valid triples up to which block weights and calibration are fitted on different ones."""

Refitted = Callable[[Triples], BlockScoring]
"""Returns a model with block weights that are fitted on some triples of valid, (n, 3)."""


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
    return _labelled(graph, ("train",), parts)


def answers_on_test(graph: Graph, scoring: BlockScoring) -> HeldOutAnswers:
    """Label answers of a model that knows train and valid by test.

    Args:
        graph: The graph that the model was trained and selected on.
        scoring: The model.
    """
    test = _held_out(graph, "test", ("train", "valid"))
    return _labelled(graph, ("train", "valid"), [_Part(scoring, test, test[:0])])


def _labelled(graph: Graph, splits: Sequence[Split], parts: Sequence[_Part]) -> HeldOutAnswers:
    """Let models complete the graph that some splits make, and label their answers."""
    known = np.unique(np.concatenate([graph.split(name) for name in splits]), axis=0)
    truths = np.concatenate([part.truths for part in parts])
    nothing = HeldOutAnswers.none(
        graph.num_relations,
        NUM_FEATURES,
        num_facts=len(known_triples(graph)),
        missing_share=share_held_out(graph),
    )
    counted = replace(
        nothing,
        num_known=_num_facts(known, graph.num_relations),
        num_held_out=_num_facts(truths, graph.num_relations),
        num_parts=len(parts),
    )
    then = replace(graph, train=known, valid=known[:0], test=known[:0])
    participation = learn_participation(then, known)
    num_missing = counted.num_missing(counted.missing_share)
    answers = [
        label_answers(
            _asked_then(then, part.scoring, participation, num_missing), part.truths, part.ignored
        )
        for part in parts
    ]
    return replace(counted, answers=LabelledAnswers.together(answers))


def _num_facts(triples: Triples, num_relations: int) -> Tensor:
    """Return the number of facts of each relation. Shape: (R,)."""
    return torch.from_numpy(np.bincount(triples[:, 1], minlength=num_relations))


def _asked_then(
    then: Graph, scoring: BlockScoring, participation: Tensor, num_missing: float
) -> Unanswered:
    """Return a model that is asked to complete what was known then."""
    device, num_known = scoring.block_weights.device, len(then.train)
    calibration = replace(scoring.calibration, participation=participation.to(device))
    share = num_missing / (num_known + num_missing)
    types = learn_relation_types(then)
    return Unanswered.of(replace(scoring, calibration=calibration), then, types, share)


def _held_out(graph: Graph, split: Split, before: Sequence[Split]) -> Triples:
    """Return the distinct triples of a split that stand in none of those before it."""
    triples = np.unique(graph.split(split), axis=0)
    known = np.concatenate([graph.split(name) for name in before])
    return triples[~is_among(triple_keys(graph, triples), np.unique(triple_keys(graph, known)))]
