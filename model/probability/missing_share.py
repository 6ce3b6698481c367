"""The most that a graph can lack, from how often the surest answers hold.

How many facts are missing cannot be seen in a graph. It is taken to be the share that was held out,
but no more than what came true allows: if facts are missing at random, no answers come true more
often than a missing fact does, so where most of a model's surest answers are in a split that it has
not seen, that split has most of what is missing (as in Elkan and Noto, "Learning Classifiers from
Only Positive and Unlabeled Data", KDD 2008, where it is an estimate).
"""

import torch
from scipy.special import betaincinv

from model.scoring.calibration import Lines
from model.scoring.held_out import HeldOutAnswers

LEAST_MISSING = 0.001
"""Smallest share that is taken to be missing."""
_SURE = 0.05  # chance that what came true is luck
_FEWEST_ANSWERS = 20  # of which fewer bound nothing
_OF_THE_TRUE = 0.25  # number of the surest answers, as a share of those that hold


def most_missing(held_out: HeldOutAnswers) -> float:
    """Return the share of all facts that a graph can lack at most; 1 where nothing bounds it.

    Args:
        held_out: Answers of models on facts that they have not learned.
    """
    times = times_expected(held_out)
    if times == 0:
        return 1.0
    num_held_out = float(held_out.num_held_out.sum())
    share = num_held_out / held_out.num_missing(held_out.missing_share)
    num_missing = num_held_out / min(share * times, 1.0)
    num_known = float(held_out.num_known.sum())
    still_missing = num_known + num_missing - held_out.num_facts
    return max(still_missing / (num_known + num_missing), LEAST_MISSING)


def times_expected(held_out: HeldOutAnswers) -> float:
    """Return how many times as many of the surest answers are known to hold as could be.

    Args:
        held_out: Answers of models on facts that they have not learned.

    Returns:
        The least ratio that is likely, 0 with too few answers. Above 1, more are known to hold than
        could if all of them held.
    """
    answers = held_out.answers
    # What does not hold is answered by every model, what holds by the one that has not learned it.
    weights = torch.where(answers.holds, 1.0, 1.0 / held_out.num_parts).double()
    number = max(_FEWEST_ANSWERS, int(_OF_THE_TRUE * float(answers.holds.sum())))
    if float(weights.sum()) < number:
        return 0.0
    lines = Lines.identity(len(held_out.num_known), weights.device)  # fitted to nothing
    order = lines.log_odds(answers.features, answers.relations).argsort(descending=True)
    surest = order[weights[order].cumsum(0) <= number + 1e-6]
    num_true, weights = float(answers.holds[surest].sum()), weights[surest]
    if num_true == 0:
        return 0.0
    num_others = float(weights.sum()) - num_true
    least = betaincinv(num_true, num_others + 1, _SURE)  # of Clopper and Pearson
    shares = held_out.share_held_out(held_out.missing_share).to(weights.device)
    return float(least * weights.sum() / (weights @ shares[answers.relations[surest]]))
