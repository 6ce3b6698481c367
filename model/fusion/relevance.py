"""Relevance: what a modality by itself knows of answers that were not trained on, in nats.

It is how much likelier the answers are, at the best temperature, by what the modality says of the
entity asked about than by what it says of the average entity asked about in that relation. So what
every entity has in common (a relation's few possible answers, say) is not the modality's merit, and
scores that say nothing gain nothing, whatever their size.
"""

import torch
from scipy.optimize import brentq
from torch import Tensor
from torch.nn import functional as F

from model.candidates import CandidateSample
from model.scorers import Scorer

MIN_QUESTIONS = 50
"""What is asked of fewer takes the mean relevance of the others."""

_MAX_SHARPNESS = 64.0
_PRECISION = 1e-4


def nats_gained(scores: Tensor, offsets: Tensor) -> Tensor:
    """Return max over t >= 0 of mean ln p_t(answer) - mean ln p_0(answer).

    p_t = softmax(t * scores / their deviation + offsets). The mean is concave in t, so its maximum
    is where the slope, mean of the answer's score less its expectation, becomes negative.

    Args:
        scores: Column 0 is the answer's. Shape: (Q, 1 + C).
        offsets: See `CandidateSample`. Shape: (Q, 1 + C).

    Returns:
        At least zero. Shape: ().
    """
    spread = scores.std()
    if not spread > 0:
        return scores.new_zeros(())
    scores = scores / spread

    def slope(sharpness: float) -> float:
        belief = (sharpness * scores + offsets).softmax(1)
        return float((scores[:, 0] - (belief * scores).sum(1)).mean())

    if slope(0.0) <= 0:
        return scores.new_zeros(())
    sharpness = _MAX_SHARPNESS
    if slope(sharpness) < 0:
        sharpness = brentq(slope, 0.0, sharpness, rtol=_PRECISION, xtol=_PRECISION)
    gain = _mean_likelihood(sharpness * scores + offsets) - _mean_likelihood(offsets)
    return gain.clamp_min(0.0)


def _mean_likelihood(logits: Tensor) -> Tensor:
    return F.log_softmax(logits, dim=1)[:, 0].mean()


def relevance_of(
    asked: Tensor, sample: CandidateSample, scorer: Scorer, relations: Tensor, answers: Tensor
) -> Tensor:
    """Measure what embeddings of the entities asked about know.

    Args:
        asked: Shape: (E, D).
        sample: Questions; the entities asked about all have what is measured.
        scorer: How triples are scored.
        relations: Shape: (R, D_r).
        answers: Embeddings of all entities as answers. Shape: (E, D).

    Returns:
        Nats, at least zero. Shape: ().
    """
    heads, relation, _ = sample.questions.unbind(1)
    count = torch.bincount(relation, minlength=len(relations)).clamp_min(1).unsqueeze(1)
    total = asked.new_zeros(len(relations), asked.shape[1]).index_add(0, relation, asked[heads])
    average = (total / count)[relation]
    gained = [
        nats_gained(sample.scores(scorer, rows, relations, answers), sample.offsets)
        for rows in (asked[heads], average)
    ]
    return (gained[0] - gained[1]).clamp_min(0.0)


def fill_unmeasured(relevance: Tensor) -> Tensor:
    """Replace NaN by the mean of the rest, or all by 1 where nothing is known of any. (M,)."""
    measured = relevance[~relevance.isnan()]
    if not len(measured) or not measured.any():
        return torch.ones_like(relevance)
    return torch.where(relevance.isnan(), measured.mean(), relevance)
