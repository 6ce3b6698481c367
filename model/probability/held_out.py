"""Calibration on facts that a model has not learned, and how well it holds on others.

What a model has not learned counts as what a graph lacks: its train split is what is known, and
valid, test and what the dataset lacks itself are missing. That the dataset lacks as large a share
as was held out is assumed, and shifts both what is promised and what can be seen of it alike.

Shapes: R relations (inverses not counted).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.probability.calibration import (
    cross_fitted_odds,
    fit_lines,
    reliability,
    share_true,
)
from model.probability.further_answers import (
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.told_answers import ToldAnswers, tell_answers
from model.probability.triple_probabilities import Unanswered
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Calibration, Lines
from storage.datasets.audit import triple_keys
from storage.datasets.graph import Graph, Split, Triples
from storage.datasets.keys import is_among
from storage.datasets.relation_types.learning import learn_relation_types

NUM_FOLDS = 3
MOST_CROSS_FITTED = 4000
"""Valid triples up to which block weights and calibration are fitted on different ones."""
_PRIOR_STRENGTH = 5.0  # facts that tie a relation's share of held-out ones to that of all
_SURE = 0.5  # probability of the answers that this is told by
_FEWEST_TRUE = 20  # answers that hold, of which less is chance

Refitted = Callable[[Triples], BlockScoring]
"""Returns a model with block weights that are fitted on some triples of valid, (n, 3)."""


def calibrate(graph: Graph, scoring: BlockScoring, refitted: Refitted) -> Calibration:
    """Fit a model's calibration on valid.

    Where valid is small, block weights and calibration are fitted on different parts of it in turn
    (cross-fitting), as both on the same triples would promise too much.

    Args:
        graph: The graph that the model was trained and selected on.
        scoring: The model, its block weights fitted on all of valid.
        refitted: See `Refitted`.
    """
    valid = _held_out(graph, "valid", ("train",))
    lines = Lines.identity(graph.num_relations)
    if not len(valid):
        return as_calibrated(graph, lines)
    order = np.random.default_rng(0).permutation(len(valid))
    is_small = NUM_FOLDS <= len(valid) <= MOST_CROSS_FITTED
    folds = np.array_split(valid[order], NUM_FOLDS) if is_small else [valid]
    missing = _missing(graph, scoring, ("train",))
    told: list[ToldAnswers] = []
    for number, fold in enumerate(folds):
        others = np.concatenate([graph.valid[:0], *folds[:number], *folds[number + 1 :]])
        model = replace(missing.asked, scoring=refitted(others)) if len(others) else missing.asked
        told.append(tell_answers(model, fold, others))
    shares = missing.share_among(valid)
    share_known = shares / (
        len(folds) - shares * (len(folds) - 1)
    )  # as the other folds are ignored
    lines = fit_lines(ToldAnswers.together(told), lines, share_known)
    return as_calibrated(graph, lines)


def calibrate_final(graph: Graph, scoring: BlockScoring) -> Calibration:
    """Fit the calibration of a final model, which learns test as well, on test.

    The selected model stands for it. With valid among what is known, nearly as much is known as
    to the final model, and more is promised than on valid; neither it nor its block weights have
    learned test. Where test tells nothing, lines stay as valid has them.

    Args:
        graph: The graph that the selected model was trained and selected on.
        scoring: That model, calibrated on valid.
    """
    told, share_known = _told_of_test(graph, scoring)
    before = scoring.calibration
    return replace(before, lines=fit_lines(told, before.lines, share_known))


def carried_over(graph: Graph, before: Calibration) -> Calibration:
    """Return a calibration for a graph of other entities or facts than it was fitted with."""
    participation = learn_participation(graph, known_triples(graph))
    return replace(before, participation=participation)


def as_calibrated(graph: Graph, lines: Lines) -> Calibration:
    """Return a calibration whose lines are given, for all that a graph knows."""
    participation = learn_participation(graph, known_triples(graph))
    return Calibration(lines, participation, share_held_out(graph))


def calibration_on_test(
    graph: Graph, scoring: BlockScoring, *, is_fitted_on_test: bool
) -> dict[str, Any]:
    """Compare what is promised of missing facts with what test has of them.

    How many facts are missing cannot be seen, so the shape is compared: in all, test is taken to
    have the share of what is promised that it has (`share_known`, the mean over answers; a relation
    of which test has few facts has less).

    Args:
        graph: The graph that the model was selected on; it has not learned test.
        scoring: The model.
        is_fitted_on_test: Whether the calibration of the model that answers is that of
            `calibrate_final`; each half of the answers is then told by lines of the other.

    Returns:
        As `reliability`, and `share_known`. `promised` and `true` are the means of the
        probabilities and of what holds over the answers of probability 1/2 and more; both absent
        without any, and where too few hold to tell.
    """
    told, share_missing = _told_of_test(graph, scoring)
    lines = scoring.calibration.lines
    odds = lines.log_odds(told.features, told.relations)
    if is_fitted_on_test:
        odds = cross_fitted_odds(told, lines, share_missing)
    probabilities, holds = odds.sigmoid().cpu().numpy(), told.holds.cpu().numpy()
    shares = share_missing.numpy()[told.relations.cpu().numpy()]
    seen = holds.sum() / max((probabilities * shares).sum(), 1e-9)
    shares = np.clip(shares * seen, 1e-3, 1.0)
    found = {
        **reliability(probabilities, holds, shares),
        "share_known": float(shares.mean()) if len(shares) else 0.0,
    }
    sure = probabilities >= _SURE
    if sure.any() and holds.sum() >= _FEWEST_TRUE:
        true = share_true(holds[sure], shares[sure])
        found |= {"promised": float(probabilities[sure].mean()), "true": true}
    return found


def _told_of_test(graph: Graph, scoring: BlockScoring) -> tuple[ToldAnswers, torch.Tensor]:
    """Return answers that know train and valid, and of what they lack the share that test has."""
    test = _held_out(graph, "test", ("train", "valid"))
    missing = _missing(graph, scoring, ("train", "valid"))
    return tell_answers(missing.asked, test, test[:0]), missing.share_among(test)


def _held_out(graph: Graph, split: Split, before: Sequence[Split]) -> Triples:
    """Return the distinct triples of a split that stand in none of those before it."""
    triples = np.unique(graph.split(split), axis=0)
    known = np.concatenate([graph.split(name) for name in before])
    return triples[~is_among(triple_keys(graph, triples), np.unique(triple_keys(graph, known)))]


class _Missing(NamedTuple):
    """A model that is asked to complete what some splits know, and how many facts they lack.

    Attributes:
        asked: The model.
        num_missing: Missing facts of each relation, as far as is assumed. Shape: (R,).
    """

    asked: Unanswered
    num_missing: NDArray[np.float64]

    def share_among(self, truths: Triples) -> torch.Tensor:
        """Return, of each relation's missing facts, the share that is among some triples.

        A split may hold out facts of some relations only. Relations of few facts are tied to all.

        Returns:
            Shape (R,), float64, above 0 and at most 1.
        """
        counts = np.bincount(truths[:, 1], minlength=len(self.num_missing))
        of_all = len(truths) / max(self.num_missing.sum(), 1.0)
        shares = (counts + _PRIOR_STRENGTH * of_all) / (self.num_missing + _PRIOR_STRENGTH)
        return torch.from_numpy(np.clip(shares, 1e-6, 1.0))


def _missing(graph: Graph, scoring: BlockScoring, splits: Sequence[Split]) -> _Missing:
    known = np.unique(np.concatenate([graph.split(name) for name in splits]), axis=0)
    then = replace(graph, train=known, valid=known[:0], test=known[:0])
    num_facts = len(known_triples(graph)) / (1 - share_held_out(graph))
    participation = learn_participation(then, known).to(scoring.block_weights.device)
    calibration = replace(scoring.calibration, participation=participation)
    asked = Unanswered.of(
        replace(scoring, calibration=calibration),
        then,
        learn_relation_types(then),
        1 - len(known) / num_facts,
    )
    num_known = np.bincount(known[:, 1], minlength=graph.num_relations).astype(np.float64)
    return _Missing(asked, num_known * (num_facts / len(known) - 1))
