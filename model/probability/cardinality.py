"""How many answers questions have in truth, where a graph lacks a share of all facts.

Each fact is known with the same chance, so the number of known answers is a binomial sample of the
number of answers. What numbers a relation has is found by maximum likelihood over all distributions
of whole numbers, in expectation-maximisation (Laird, "Nonparametric Maximum Likelihood Estimation
of a Mixing Distribution", 1978), tied to what all relations have in common.

Shapes: R relations (inverses not counted), C most known answers that are told apart, N most
answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import betainc, gammaln

MOST_KNOWN = 64
"""C. Questions with more known answers lack the share of their answers that the graph lacks."""
PRIOR_STRENGTH = 2.0
"""Pseudo-count that ties a relation's numbers of answers to those of all relations."""
_MOST_ANSWERS = 128
_STEPS = 200

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Cardinality:
    """What is to be expected of a question, by how many answers to it are known.

    Attributes:
        has_further: Chance of a further answer, beyond one known answer, two, ... Shape: (2R, C).
        num_further: Expected number of further answers. Shape: (2R, C).
        share_lost: Of the questions that have answers, the share of which no answer is known.
            Shape: (2R,).
        num_lost: Expected number of answers to those. Shape: (2R,).
        missing_share: Share of all facts that the graph lacks.
    """

    has_further: FloatArray
    num_further: FloatArray
    share_lost: FloatArray
    num_lost: FloatArray
    missing_share: float


def fit_cardinality(
    num_known: csr_array, missing_share: float, is_single: NDArray[np.bool_]
) -> Cardinality:
    """Fit the numbers of answers of each relation and side.

    Args:
        num_known: Known answers to each question. Shape: (E, 2R), sparse.
        missing_share: Share of all facts that the graph lacks, above 0 and below 1.
        is_single: Which questions have one answer at most. Shape: (2R,).
    """
    known, answers = np.arange(1, MOST_KNOWN + 1), np.arange(1, _MOST_ANSWERS + 1)
    all_lost = missing_share**answers
    chances = _binomial(known[:, None], answers, missing_share) / (1 - all_lost)
    as_many = betainc(MOST_KNOWN, np.maximum(answers - MOST_KNOWN, 0) + 1.0, 1 - missing_share)
    chances[-1] = np.where(answers >= MOST_KNOWN, as_many, 0.0) / (1 - all_lost)
    shares = _most_likely(_histogram(num_known), chances)
    shares[is_single] = np.eye(1, _MOST_ANSWERS)
    likelihood = shares @ chances.T + np.finfo(float).tiny
    of_all = shares / (1 - all_lost)  # also of those that lost every answer
    lost = of_all * all_lost
    has_further = 1 - shares[:, :MOST_KNOWN] * np.diag(chances) / likelihood
    num_further = (shares * answers) @ chances.T / likelihood - known
    return Cardinality(
        has_further=np.where(is_single[:, None], 0.0, has_further),
        num_further=np.where(is_single[:, None], 0.0, num_further),
        share_lost=lost.sum(1) / of_all.sum(1),
        num_lost=(lost * answers).sum(1) / lost.sum(1),
        missing_share=missing_share,
    )


def _binomial(
    known: NDArray[np.int64], answers: NDArray[np.int64], missing_share: float
) -> FloatArray:
    """Return the chance that so many of so many answers are known. Shapes broadcast."""
    lost = np.maximum(answers - known, 0)
    ways = gammaln(answers + 1) - gammaln(known + 1) - gammaln(lost + 1)
    chance = np.exp(ways + known * np.log1p(-missing_share) + lost * np.log(missing_share))
    return np.where(known <= answers, chance, 0.0)


def _histogram(num_known: csr_array) -> FloatArray:
    """Count questions by relation and number of known answers, at least one. Shape: (2R, C)."""
    entries = num_known.tocoo()
    counts = np.zeros((num_known.shape[1], MOST_KNOWN))
    np.add.at(counts, (entries.coords[1], np.minimum(entries.data, MOST_KNOWN) - 1), 1)
    return counts


def _most_likely(counts: FloatArray, chances: FloatArray) -> FloatArray:
    """Find the numbers of answers of questions of which an answer is known.

    Args:
        counts: Questions by number of known answers. Shape: (2R, C).
        chances: Of so many known answers, by the number of answers. Shape: (C, N).

    Returns:
        Shares, of sum 1. Shape: (2R, N).
    """
    num_questions = counts.sum(1, keepdims=True)
    shares = np.full((len(counts), chances.shape[1]), 1 / chances.shape[1])
    for _ in range(_STEPS):
        likelihood = shares @ chances.T + np.finfo(float).tiny
        found = shares * ((counts / likelihood) @ chances)
        in_common = (found / np.maximum(num_questions, 1)).sum(0)
        in_common /= max((num_questions > 0).sum(), 1)
        shares = found + PRIOR_STRENGTH * in_common + np.finfo(float).tiny
        shares /= shares.sum(1, keepdims=True)
    return shares
