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
from functools import cache

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


def egns_log_weights(positive: Tensor, negatives: Tensor, config: EgnsConfig) -> Tensor:
    """Logarithms of the categories' relative weights, without gradient.

    Args:
        positive: Scores of the positives. Shape: (B, 1).
        negatives: Scores of their negatives. Shape: (B, N).
        config: Thresholds and weights.

    Returns:
        Shape (B, N).
    """
    margin = ambiguous_margin(config.entropy_threshold) * config.temperature
    easy, ambiguous, hard = (
        math.log(weight) if weight > 0 else -math.inf
        for weight in (config.easy_weight, config.ambiguous_weight, config.hard_weight)
    )
    difference = negatives.detach() - positive.detach()
    weights = torch.full_like(difference, ambiguous)
    weights.masked_fill_(difference < -margin, easy)
    return weights.masked_fill_(difference > margin, hard)


def category_shares(positive: Tensor, negatives: Tensor, config: EgnsConfig) -> dict[str, float]:
    """Shares of the categories, and the mean entropy in nats, for the log of an epoch."""
    margin = ambiguous_margin(config.entropy_threshold) * config.temperature
    difference = (negatives - positive).detach()
    difference = difference[difference.isfinite()]
    probability = torch.sigmoid(difference / config.temperature)
    entropy = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return {
        "easy": float((difference < -margin).float().mean()),
        "ambiguous": float((difference.abs() <= margin).float().mean()),
        "hard": float((difference > margin).float().mean()),
        "entropy": float(entropy.mean()),
    }


def log_weights(positive: Tensor, negatives: Tensor, config: NegativesConfig) -> Tensor:
    """Weigh negatives by the configured scheme, so that they average 1 per positive.

    Args:
        positive: Shape (B, 1).
        negatives: Shape (B, N); -inf marks what is no negative.
        config: The config's `train.negatives` section.

    Returns:
        Logarithms of the weights, -inf where no negative, without gradient. Shape: (B, N).
    """
    valid = negatives.detach() > -torch.inf
    if config.weighting == "egns":
        raw = egns_log_weights(positive, negatives, config.egns)
    elif config.weighting == "self_adversarial":
        raw = negatives.detach()
    else:
        raw = torch.zeros_like(negatives)
    raw = raw.masked_fill(~valid, -torch.inf)
    raw = raw - raw.amax(1, keepdim=True).nan_to_num(neginf=0.0)
    mean = raw.exp().sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp_min(1)
    return raw - mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def one_vs_all_loss(
    scores: Tensor, target: Tensor, known: Tensor, config: NegativesConfig
) -> Tensor:
    """-s+ + log(e^{s+} + sum_j w_j e^{s_j}) over all entities that are not known to be true.

    Args:
        scores: Scores of all entities as the tail. Shape: (B, N).
        target: The positives' columns. Shape: (B,).
        known: Rows and columns of the known training triples, whose weight is 0. Shape: (2, n).
        config: The config's `train.negatives` section.

    Returns:
        Loss of every positive, in nats. Shape: (B,).
    """
    rows = torch.arange(len(target), device=target.device)
    positive = scores[rows, target].unsqueeze(1)
    negatives = scores.index_put((known[0], known[1]), scores.new_tensor(-torch.inf))
    negatives = negatives.index_put((rows, target), scores.new_tensor(-torch.inf))
    if config.weighting != "none":
        negatives = negatives + log_weights(positive, negatives, config)
    return F.softplus(negatives.logsumexp(1) - positive.squeeze(1))


def sampled_loss(positive: Tensor, negatives: Tensor, config: NegativesConfig) -> Tensor:
    """-log sigmoid(s+) - mean_j w_j log sigmoid(-s_j).

    Args:
        positive: Shape (B, 1).
        negatives: Shape (B, N); -inf marks a draw that is known to be true.
        config: The config's `train.negatives` section.

    Returns:
        Loss of every positive, in nats. Shape: (B,).
    """
    weights = log_weights(positive, negatives, config).exp()
    count = (negatives > -torch.inf).sum(1).clamp_min(1)
    return F.softplus(-positive).squeeze(1) + (weights * F.softplus(negatives)).sum(1) / count
