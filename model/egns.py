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
    scores: Tensor, target: Tensor, known: Tensor, config: NegativesConfig
) -> Tensor:
    """-s+ + log(e^{s+} + sum_j w_j e^{s_j}) over all other entities.

    The w_j of those that are known to be true is `config.known_weight`; the others' average 1.

    Args:
        scores: Scores of all entities as the tail. Shape: (B, N).
        target: The positives' columns. Shape: (B,).
        known: Rows and columns of all training triples; the positives are among them.
            Shape: (2, n).
        config: The config's `train.negatives` section.

    Returns:
        Loss of every positive, in nats. Shape: (B,).
    """
    losses: Tensor = _OneVsAllLoss.apply(scores, target, known, config)
    return losses


class _OneVsAllLoss(torch.autograd.Function):
    """Computes the gradient with the loss: a negative's is the share of its term in the sum."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, target: Tensor, known: Tensor, config: NegativesConfig
    ) -> Tensor:
        positive, places = scores.gather(1, target.unsqueeze(1)), (known[0], known[1])
        negatives = scores.index_put(places, scores.new_tensor(-torch.inf))
        weight = None if config.weighting == "none" else weights(positive, negatives, config)
        rivals = scores if config.known_weight else negatives
        largest = torch.maximum(rivals.amax(1, keepdim=True), positive)
        terms = negatives.sub_(largest).exp_()
        if weight is not None:
            terms.mul_(weight)
        if config.known_weight:
            rival = (scores[places] - largest[known[0], 0]).exp_() * config.known_weight
            terms.index_put_(places, rival * (known[1] != target[known[0]]))
        others = terms.sum(1, keepdim=True)
        total = others + (positive - largest).exp()
        ctx.gradient = terms.div_(total).scatter_(1, target.unsqueeze(1), -others / total)
        return (total.log() + largest - positive).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.gradient.mul(grads[0].unsqueeze(1)), None, None, None


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
