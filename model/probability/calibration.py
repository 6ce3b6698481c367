"""Probabilities that mean something: of the answers given 30%, three in ten should hold.

Every relation has weights that turn the features of a triple into its log-odds, tied to those of
all relations (hierarchical logistic regression). They are fitted to answers of a model that has not
learned which of them hold. Of the facts that a graph lacks, only a share is known to have come
true, so an answer with probability p is known to hold with that share of p (Elkan and Noto,
"Learning Classifiers from Only Positive and Unlabeled Data", KDD 2008).

Shapes: n answers, F features of a triple, R relations (inverses not counted).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.scoring.calibration import NUM_FEATURES, Lines
from model.scoring.held_out import LabelledAnswers

NUM_BINS = 10
_PRIOR_STRENGTH = 5.0  # pseudo-count that ties a relation's weights to those of all relations
_COMMON_STRENGTH = 2.0  # pseudo-count that ties those of all relations to what was before
_TOLERANCE = 1e-6


def fit_lines(answers: LabelledAnswers, before: Lines, share_known: Tensor) -> Lines:
    """Fit the weights of every relation to what came true, by likelihood.

    Args:
        answers: Of a model that has not learned which of them hold.
        before: Mean of the prior.
        share_known: Of each relation's missing facts, the share that is known to have come true.
            Shape: (R,).

    Returns:
        Lines; those of before where there are no answers.
    """
    if not len(answers.holds):
        return before
    device, holds = answers.holds.device, answers.holds.double()
    start = before.weights.to(device).double()
    shares = share_known.to(device).double()[answers.relations]
    shifts = torch.zeros((1 + len(start), NUM_FEATURES), dtype=torch.double, device=device)
    shifts.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [shifts], max_iter=200, tolerance_change=_TOLERANCE, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        weights = start + shifts[0] + shifts[1:]
        odds = (answers.features * weights[answers.relations]).sum(1)
        wrong = F.binary_cross_entropy(shares * odds.sigmoid(), holds, reduction="sum")
        own = _PRIOR_STRENGTH * shifts[1:].square().sum()
        loss: Tensor = wrong + own + _COMMON_STRENGTH * shifts[0].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    weights = (start + shifts[0] + shifts[1:]).detach()
    covariances = _covariances(_information(answers, weights, shares))
    return Lines(weights.float(), covariances.float())


def _information(answers: LabelledAnswers, weights: Tensor, shares: Tensor) -> Tensor:
    """Return the Fisher information that answers have of the weights of their relation.

    Args:
        answers: Labelled answers.
        weights: Shape: (R, F).
        shares: Of answers like each that hold, the share that is known to. Shape: (n,).

    Returns:
        Shape: (R, F, F), float64.
    """
    holds = (answers.features * weights[answers.relations]).sum(1).sigmoid()
    known = shares * holds
    each = (known * (1 - holds)).square() / (known * (1 - known)).clamp_min(1e-12)
    rows = answers.features * each.sqrt()[:, None]
    found = [rows[answers.relations == relation] for relation in range(len(weights))]
    return torch.stack([it.T @ it for it in found])


def _covariances(information: Tensor) -> Tensor:
    """Return how surely weights are known (Laplace's approximation), by answers and prior.

    Args:
        information: Of `_information`. Shape: (R, F, F).

    Returns:
        Shape: (R, F, F), float64.
    """
    identity = torch.eye(NUM_FEATURES, dtype=torch.double, device=information.device)
    own = (information + 2 * _PRIOR_STRENGTH * identity).inverse()
    of_common = 2 * _COMMON_STRENGTH * identity
    of_common = of_common + (information - information @ own @ information).sum(0)
    kept = identity - own @ information  # of what all have in common
    return own + kept @ of_common.inverse() @ kept.mT


def cross_fitted_odds(answers: LabelledAnswers, before: Lines, share_known: Tensor) -> Tensor:
    """Return log-odds of answers, those of each half by lines that are fitted on the other.

    Args:
        answers: Labelled answers.
        before: As in `fit_lines`.
        share_known: As in `fit_lines`.

    Returns:
        Shape (n,), float64.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(answers.holds), generator=generator).to(answers.holds.device)
    halves = order.tensor_split(2)
    odds = torch.empty(len(order), dtype=torch.double, device=order.device)
    for one, other in (halves, halves[::-1]):
        lines = fit_lines(answers[other], before, share_known)
        odds[one] = lines.log_odds(answers.features[one], answers.relations[one])
    return odds


def share_true(holds: NDArray[np.bool_], share_known: NDArray[np.float64]) -> float:
    """Return the share of answers that hold, where of those only some are known to. (n,), (n,)."""
    return min(1.0, float(holds.sum() / share_known.sum()))


def reliability(
    probabilities: NDArray[np.float64],
    holds: NDArray[np.bool_],
    share_known: NDArray[np.float64],
) -> dict[str, Any]:
    """Compare probabilities with what came true, in `NUM_BINS` bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        probabilities: Shape (n,).
        holds: Which are known to hold. Shape: (n,).
        share_known: Of those like it that hold, the share that is known to. Shape: (n,).

    Returns:
        `ece`, the expected calibration error: the mean over answers of how far the mean probability
        of their bin is from the share that holds; `num_answers`; and of every `bins` that is not
        empty `lower`, `upper`, mean `probability`, `accuracy`, `count`. Without answers, no `ece`.
    """
    if len(holds) == 0:
        return {"num_answers": 0, "bins": []}
    places = np.minimum((probabilities * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = [
        {
            "lower": place / NUM_BINS,
            "upper": (place + 1) / NUM_BINS,
            "probability": float(probabilities[places == place].mean()),
            "accuracy": share_true(holds[places == place], share_known[places == place]),
            "count": int((places == place).sum()),
        }
        for place in np.unique(places).tolist()
    ]
    gaps = sum(found["count"] * abs(found["probability"] - found["accuracy"]) for found in bins)
    return {"ece": gaps / len(holds), "num_answers": len(holds), "bins": bins}
