"""Principal components of equal variance, which estimators of mutual information look at."""

import torch
from torch import Tensor

MAX_DIM = 16
"""Components that estimators look at."""


def whiten(values: Tensor, max_dim: int = MAX_DIM) -> Tensor:
    """Project on the leading principal components, each to unit variance.

    Args:
        values: Shape (n, d).
        max_dim: Components kept at most; those that do not vary are left out.

    Returns:
        Shape (n, p), float64.
    """
    centred = (values - values.mean(0)).double()
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(values))
    variances, axes = variances[-max_dim:], axes[:, -max_dim:]
    kept = variances > 1e-9 * variances[-1].clamp_min(1e-30)
    whitened: Tensor = centred @ axes[:, kept] / variances[kept].sqrt()
    return whitened
