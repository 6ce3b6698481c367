"""EGNS: entropy-guided negative sampling, and the losses that its weights enter.

For a negative j of a positive with scores s_j and s+, p_j = sigmoid((s_j - s+) / T) is the
model's probability that the negative outranks its positive, and H_j the entropy of that coin.
Ambiguous: H_j >= theta. Below theta: easy if p_j < 1/2, hard if p_j > 1/2. This is this
project's definition; a softmax over all entities would call every negative easy.

H depends on |s_j - s+| / T alone and falls with it, so H_j >= theta is the same as
|s_j - s+| / T <= d(theta): the categories cost two comparisons and no logarithm.

Shapes: B batch, N negatives (all entities in 1-vs-all training).
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import EgnsConfig, NegativesConfig


@cache
def ambiguous_margin(entropy_threshold: float) -> float:
    """Return d with H(sigmoid(d)) = `entropy_threshold` nats, by bisection."""
    low, high = 0.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        if _entropy(1 / (1 + math.exp(-middle))) >= entropy_threshold:
            low = middle
        else:
            high = middle
    return low


def _entropy(probability: float) -> float:
    other = 1 - probability
    return -sum(p * math.log(p) for p in (probability, other) if p > 0)


def egns_weights(positive: Tensor, negatives: Tensor, config: EgnsConfig) -> Tensor:
    """Relative weights of the negatives' categories, without gradient.

    Args:
        positive: Scores of the positives. Shape: (B, 1).
        negatives: Scores of their negatives. Shape: (B, N).
        config: Thresholds and weights.

    Returns:
        Shape (B, N).
    """
    margin = ambiguous_margin(config.entropy_threshold) * config.temperature
    threshold, negatives = positive.detach(), negatives.detach()
    is_hard = _compare(torch.gt, negatives, threshold + margin)
    is_easy = _compare(torch.lt, negatives, threshold - margin)
    usual = config.ambiguous_weight
    relative = torch.full_like(negatives, usual)
    relative.add_(is_hard, alpha=config.hard_weight - usual)
    return relative.add_(is_easy, alpha=config.easy_weight - usual)


def _compare(comparison: Callable[..., Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Compare to 1.0 and 0.0: a CPU takes several times as long over arithmetic with masks."""
    return comparison(left, right, out=torch.empty_like(left))


def weights(positive: Tensor, negatives: Tensor, config: NegativesConfig) -> Tensor:
    """Weigh negatives by the configured scheme, so that they average 1 per positive.

    Args:
        positive: Shape (B, 1).
        negatives: Shape (B, N); -inf marks what is no negative.
        config: The config's `train.negatives` section.

    Returns:
        Without gradient; 0 where no negative. Shape: (B, N).
    """
    if config.weighting == "egns":
        relative = egns_weights(positive, negatives, config.egns)
    elif config.weighting == "self_adversarial":
        relative = negatives.detach().softmax(1).nan_to_num()
    else:
        relative = torch.ones_like(negatives)
    is_negative = _compare(torch.gt, negatives.detach(), negatives.new_tensor(-torch.inf))
    relative = relative.mul_(is_negative)
    mean = relative.sum(1, keepdim=True) / is_negative.sum(1, keepdim=True).clamp_min(1)
    return relative.div_(mean.clamp_min(torch.finfo(mean.dtype).tiny))


def one_vs_all_loss(
    scores: Tensor, answers: Tensor, known: Tensor, config: NegativesConfig
) -> Tensor:
    """-s+ + log(e^{s+} + sum_j w_j e^{s_j}) over all other entities, for every answer's s+.

    The w_j of those that are known to be true is `config.known_weight`; the others' average 1.
    The answers to one question share the weights of its negatives: s+ is their mean score there.

    Args:
        scores: Scores of all entities as the tail. Shape: (Q, N).
        answers: Rows and columns of the positives, each once. Shape: (2, B).
        known: Rows and columns of all training triples; the positives are among them.
            Shape: (2, n).
        config: The config's `train.negatives` section.

    Returns:
        Loss of every question, summed over its answers, in nats. Shape: (Q,).
    """
    losses: Tensor = _OneVsAllLoss.apply(scores, answers, known, config)
    return losses


class _OneVsAllLoss(torch.autograd.Function):
    """Computes the gradient with the loss: a negative's is the share of its term in the sums."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, answers: Tensor, known: Tensor, config: NegativesConfig
    ) -> Tensor:
        question, answer = answers
        positive, of_known = scores[question, answer], (known[0], known[1])
        terms = scores.index_put(of_known, scores.new_tensor(-torch.inf))
        weight = None
        if config.weighting != "none":
            count = _sums(torch.ones_like(positive), question, len(scores))
            mean = _sums(positive, question, len(scores)) / count
            weight = weights(mean.unsqueeze(1), terms, config)
        terms[question, answer] = positive
        largest = (scores if config.known_weight else terms).amax(1)
        terms.sub_(largest.unsqueeze(1)).exp_()
        if weight is not None:
            terms.mul_(weight)
        rival = terms.new_zeros(())
        if config.known_weight:
            rival = (scores[of_known] - largest[known[0]]).exp_() * config.known_weight
        terms.index_put_(of_known, rival)
        own = (positive - largest[question]).exp() * (1 - config.known_weight)
        total = terms.sum(1)[question] + own
        losses = _sums(total.log() + largest[question] - positive, question, len(scores))
        terms.mul_(_sums(1 / total, question, len(scores)).unsqueeze(1))
        terms[question, answer] += own / total - 1
        ctx.gradient = terms
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.gradient.mul(grads[0].unsqueeze(1)), None, None, None


def _sums(values: Tensor, question: Tensor, num_questions: int) -> Tensor:
    """Sum the values of each question. Shapes: (B,), (B,) -> (Q,)."""
    return values.new_zeros(num_questions).index_add_(0, question, values)


def sampled_loss(positive: Tensor, negatives: Tensor, config: NegativesConfig) -> Tensor:
    """-log sigmoid(s+) - mean_j w_j log sigmoid(-s_j).

    Args:
        positive: Shape (B, 1).
        negatives: Shape (B, N); -inf marks a draw that is known to be true.
        config: The config's `train.negatives` section.

    Returns:
        Loss of every positive, in nats. Shape: (B,).
    """
    terms = weights(positive, negatives, config) * F.softplus(negatives)
    count = (negatives.detach() > -torch.inf).sum(1).clamp_min(1)
    return F.softplus(-positive).squeeze(1) + terms.sum(1) / count
