"""Principal components of equal variance, which estimators of mutual information look at."""

import torch
from torch import Tensor


def whiten(values: Tensor, max_dim: int) -> Tensor:
    """Project on the leading principal components, each to unit variance.

    Args:
        values: Shape (n, d).
        max_dim: Components kept at most; those that do not vary are left out.

    Returns:
        Shape (n, p), float64.
    """
    centred, variances, axes = _components(values, max_dim)
    whitened: Tensor = centred @ axes / variances.sqrt()
    return whitened


def num_components(values: Tensor, max_dim: int) -> int:
    """Count the components that `whiten` keeps."""
    return len(_components(values, max_dim)[1])


def _components(values: Tensor, max_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return centred values, and the kept components' variances and axes. (n, d), (p,), (d, p)."""
    centred = (values - values.mean(0)).double()
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(values))
    variances, axes = variances[-max_dim:], axes[:, -max_dim:]
    kept = variances > 1e-9 * variances[-1].clamp_min(1e-30)
    return centred, variances[kept], axes[:, kept]
