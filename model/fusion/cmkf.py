"""CMKF: complementarity-guided fusion, within a modality and between modalities.

Every view and modality has a strength, which carries no gradient: what repeats the others counts
less, what knows nothing of the answers counts least. Modalities are added up with the strengths of
those an entity has, divided by the root of the sum of their squares: what is fused of independent
parts is as large as one alone. Views are added up, each times its strength.

- Relevance-aware (this project's form): the strengths solve

      minimise w'Kw / 2 - r'w  over w >= 0,

  where K_jm = 1 - exp(-2 I_jm) is the share of variance that the mutual information I between two
  of them amounts to, K_mm = 1, and r what each by itself knows of answers that were not trained on
  (model/fusion/relevance.py). As in a regression of the answers on the modalities, two copies
  share what one of them would have, and noise gets nothing.
- Plain (the paper's): softmax of minus the mean information shared with the others. Noise, which
  shares nothing with anything, is the most complementary of all.

Either way, one that is alone is left as it is. Shapes: E entities, M modalities or views.
"""

import torch
from scipy.optimize import nnls
from torch import Tensor

MAX_FUSED = 16
"""A strength is kept for every one of the 2^M combinations that an entity may have."""

RELEVANCE_FLOOR = 0.02
"""Share of the largest relevance that every modality has: what is muted could never recover."""

_RIDGE = 1e-3


def patterns(count: int) -> Tensor:
    """Return every combination of modalities; row i holds the bits of i. Shape: (2^M, M), bool."""
    return (torch.arange(2**count).unsqueeze(1) >> torch.arange(count)) % 2 == 1


def pattern_of(present: Tensor) -> Tensor:
    """Return the rows of `patterns` that entities have. Shapes: (E, M), bool -> (E,)."""
    bits = 2 ** torch.arange(present.shape[1], device=present.device)
    return (present * bits).sum(1)


def relevant_strengths(information: Tensor, relevance: Tensor, present: Tensor) -> Tensor:
    """Strengths by relevance and redundancy, over the largest relevance that is present.

    Args:
        information: Symmetric, nats per dimension; the diagonal is ignored. Shape: (M, M).
        relevance: Nats, at least zero. Shape: (M,).
        present: Shape: (E, M), bool.

    Returns:
        At least zero, exactly zero where absent, exactly 1 where alone. Shape: (E, M).
    """
    floor = RELEVANCE_FLOOR * float(relevance.max())
    relevance = relevance.clamp_min(floor) if floor > 0 else torch.ones_like(relevance)
    shared = _shared_variance(information)
    strengths = torch.zeros(present.shape)
    for row, pattern in enumerate(present.tolist()):
        here = [m for m, is_present in enumerate(pattern) if is_present]
        strengths[row, here] = _strengths_of(shared[here][:, here], relevance[here])
    return strengths


def _shared_variance(information: Tensor) -> Tensor:
    """Return K: unit diagonal but for a ridge, positive definite, float64. Shape: (M, M)."""
    shared = (1 - torch.exp(-2 * information.double())).clamp_min(0).fill_diagonal_(1)
    values, vectors = torch.linalg.eigh(shared)
    return torch.mm(vectors * (values.clamp_min(0) + _RIDGE), vectors.T)


def _strengths_of(shared: Tensor, relevance: Tensor) -> Tensor:
    """Solve the problem for modalities that are all present. Shapes: (M, M), (M,) -> (M,).

    With K = U'U, w'Kw / 2 - r'w is |Uw - s|^2 / 2 less a constant, where U's = r.
    """
    if len(relevance) <= 1:
        return torch.ones(len(relevance))
    upper = torch.linalg.cholesky(shared, upper=True)
    target = torch.linalg.solve_triangular(upper.T, relevance.double()[:, None], upper=False)
    solved, _ = nnls(upper.numpy(), target[:, 0].numpy())
    return torch.from_numpy(solved).float() / relevance.max()


def plain_strengths(information: Tensor, temperature: float, present: Tensor) -> Tensor:
    """Strengths by redundancy alone, whose mean over what is present is 1.

    w_m(e) = count(e) * softmax over the present m of -mean over the other present j of
    I_jm / temperature.

    Args:
        information: Symmetric, zero diagonal, nats per dimension. Shape: (M, M).
        temperature: Nats per dimension; high values level the strengths.
        present: Shape: (E, M), bool.

    Returns:
        At least zero, exactly zero where absent, exactly 1 where alone. Shape: (E, M).
    """
    mask = present.to(information.dtype)
    count = mask.sum(1, keepdim=True)
    logits = -(mask @ information) / (count - 1).clamp_min(1) / temperature
    shifted = logits - logits.masked_fill(~present, -torch.inf).amax(1, keepdim=True)
    raised = torch.where(present, shifted.exp(), 0.0)
    return count * raised / raised.sum(1, keepdim=True).clamp_min(torch.finfo(mask.dtype).tiny)
