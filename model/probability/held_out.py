"""Calibration on facts that a model has not learned, and how well it holds on others.

Shapes: R relations (inverses not counted).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from model.probability.calibration import cross_fitted_odds, fit_lines, reliability, share_true
from model.probability.further_answers import (
    known_triples,
    learn_participation,
    share_held_out,
)
from model.probability.held_out_answers import Refitted, answers_on_test, answers_on_valid
from model.probability.missing_share import most_missing
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import NUM_FEATURES, Calibration, Lines
from model.scoring.held_out import HeldOutAnswers
from storage.datasets.graph import Graph
from storage.errors import MocmeError

_SURE = 0.5  # least probability of the answers that are compared
_FEWEST_TRUE = 20  # answers that hold, of which less is chance


def calibrate(graph: Graph, scoring: BlockScoring, refitted: Refitted) -> Calibration:
    """Fit a model's calibration on valid.

    Args:
        graph: The graph that the model was trained and selected on.
        scoring: The model, its block weights fitted on all of valid.
        refitted: Returns a model with block weights that are fitted on some triples of valid.
    """
    identity = as_calibrated(graph, Lines.identity(graph.num_relations))
    if not len(graph.valid):
        return identity
    return _fitted(identity, answers_on_valid(graph, scoring, refitted))


def calibrate_final(graph: Graph, scoring: BlockScoring) -> Calibration:
    """Fit the calibration of a final model, which learns test as well, on test.

    The selected model stands for it. With valid among what is known, nearly as much is known as
    to the final model, and more is promised than on valid; neither it nor its block weights have
    learned test. Where nothing of test came true, it stays as valid has it.

    Args:
        graph: The graph that the selected model was trained and selected on.
        scoring: That model, calibrated on valid.
    """
    held_out, before = answers_on_test(graph, scoring), scoring.calibration
    if not held_out.answers.holds.any():
        return before
    return _fitted(before, held_out)


def _fitted(before: Calibration, held_out: HeldOutAnswers) -> Calibration:
    """Return a calibration on held-out answers; what is missing goes by them and those before."""
    most = min(before.most_missing, most_missing(held_out))
    unfitted = replace(before, held_out=held_out, prior=before.lines.weights, most_missing=most)
    return calibrated_for(unfitted, min(held_out.missing_share, most))


def calibrated_for(calibration: Calibration, missing_share: float) -> Calibration:
    """Return a calibration for another share of missing facts.

    What came true of the held-out answers is the same for any share. But where more is missing,
    fewer of the answers that hold are known to hold, so more hold than came true.

    Args:
        calibration: The calibration.
        missing_share: Share of all facts that the graph lacks, above 0 and below 1.

    Raises:
        MocmeError: If the share is out of its bounds.
    """
    if not 0 < missing_share < 1:
        raise MocmeError(f"found missing_share {missing_share}; allowed: above 0 and below 1")
    held_out = calibration.held_out
    before = replace(calibration.lines, weights=calibration.prior)
    lines = fit_lines(held_out.answers, before, held_out.share_known(missing_share))
    return replace(calibration, lines=lines, missing_share=missing_share)


def carried_over(graph: Graph, before: Calibration) -> Calibration:
    """Return a calibration for a graph of other entities or facts than it was fitted with."""
    participation = learn_participation(graph, known_triples(graph))
    return replace(before, participation=participation)


def as_calibrated(graph: Graph, lines: Lines) -> Calibration:
    """Return a calibration whose lines are given, for all that a graph knows."""
    known, missing_share = known_triples(graph), share_held_out(graph)
    held_out = HeldOutAnswers.none(
        graph.num_relations, NUM_FEATURES, num_facts=len(known), missing_share=missing_share
    )
    return Calibration(
        lines,
        learn_participation(graph, known),
        held_out,
        lines.weights,
        missing_share,
        most_missing=1.0,
    )


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
            `calibrate_final`; each half of the answers then gets its log-odds from the other half.

    Returns:
        As `reliability`, and `share_known`. `promised` and `true` are the means of the
        probabilities and of what holds over the answers of probability 1/2 and more; both absent
        without any, and where too few hold.
    """
    held_out, lines = answers_on_test(graph, scoring), scoring.calibration.lines
    missing = min(held_out.missing_share, scoring.calibration.most_missing, most_missing(held_out))
    answers, share_known = held_out.answers, held_out.share_known(missing)
    odds = lines.log_odds(answers.features, answers.relations)
    if is_fitted_on_test:
        odds = cross_fitted_odds(answers, lines, share_known)
    probabilities, holds = odds.sigmoid().cpu().numpy(), answers.holds.cpu().numpy()
    shares = share_known.numpy()[answers.relations.cpu().numpy()]
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
