"""The most that a graph can lack, from how often the surest answers hold.

How many facts are missing cannot be seen in a graph. It is taken to be the share that was held out,
but no more than what came true allows: if facts are missing at random, no answers come true more
often than a missing fact does, so where most of a model's surest answers are in a split that it has
not seen, that split has most of what is missing (as in Elkan and Noto, "Learning Classifiers from
Only Positive and Unlabeled Data", KDD 2008, where it is an estimate).
"""

from scipy.special import betaincinv
from torch import Tensor

from model.probability.labelled_answers import LabelledAnswers
from model.scoring.calibration import Lines

LEAST_MISSING = 0.001
"""Smallest share that is taken to be missing."""
_SURE = 0.05  # chance that what came true is luck
_FEWEST_ANSWERS = 20  # of which fewer bound nothing
_OF_THE_TRUE = 0.25  # number of the surest answers, as a share of those that hold


def times_expected(answers: LabelledAnswers, share_known: Tensor) -> float:
    """Return how many times as many of the surest answers are known to hold as could be.

    Args:
        answers: Labelled answers.
        share_known: Of answers of each relation that hold, the share that is taken to be known to.
            Shape: (R,).

    Returns:
        The least ratio that is likely, 0 with too few answers. Above 1, more are known to hold than
        could if all of them held.
    """
    number = max(_FEWEST_ANSWERS, int(_OF_THE_TRUE * float(answers.holds.sum())))
    if len(answers.holds) < number:
        return 0.0
    lines = Lines.identity(len(share_known), answers.features.device)  # fitted to nothing
    surest = lines.log_odds(answers.features, answers.relations).topk(number).indices
    num_true = int(answers.holds[surest].sum())
    if num_true == 0:
        return 0.0
    least = betaincinv(num_true, number - num_true + 1, _SURE)  # of Clopper and Pearson
    return float(least * number / share_known.to(surest.device)[answers.relations[surest]].sum())


def most_missing(num_facts: int, num_then: int, num_missing_then: float) -> float:
    """Return the share of all facts that a graph lacks, from what it lacked without some splits.

    Args:
        num_facts: Facts of all splits.
        num_then: Facts of the splits that were known.
        num_missing_then: Facts that were missing then, those of the other splits among them.
    """
    still_missing = num_then + num_missing_then - num_facts
    return max(still_missing / (num_then + num_missing_then), LEAST_MISSING)
