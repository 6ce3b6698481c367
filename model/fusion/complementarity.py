"""Complementarity: how much two views, or two modalities, tell about the same thing.

Mutual information between two representations of the same entities is high where one repeats
the other, and near zero where each says something of its own.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from model.config import EstimatorName
from model.fusion.information_bounds import club_information, infonce_information
from model.fusion.whitening import MAX_DIM, whiten

MIN_CO_PRESENT = 200
"""Pairs of modalities that meet in fewer entities take the mean of the other pairs."""


def gaussian_information(
    first: Tensor, second: Tensor, max_dim: int = MAX_DIM, shrinkage: float = 0.01
) -> Tensor:
    """Estimate mutual information in closed form, as if both were jointly Gaussian.

    I = -1/2 sum_i ln(1 - rho_i^2) over the canonical correlations rho_i, less its bias under
    independence, pq / 2n. It is the exact value for Gaussian variables and a lower bound for
    others with Gaussian margins. Each side is first projected on its leading principal
    components, and correlations are shrunk: without both, independent noise in 200 dimensions
    with 1,024 samples reads 24.5 nats.

    Args:
        first: One representation. Shape: (n, d1).
        second: The other, of the same entities. Shape: (n, d2).
        max_dim: Principal components kept of either.
        shrinkage: Weight of the identity in the shrunk joint correlation, in (0, 1).

    Returns:
        Nats, at least zero. Shape: ().
    """
    whitened_first, whitened_second = (whiten(side, max_dim) for side in (first, second))
    count = len(first)
    cross = whitened_first.T @ whitened_second / count
    correlations = torch.linalg.svdvals(cross) * (1 - shrinkage)
    information = -0.5 * torch.log1p(-correlations.clamp_max(1 - 1e-6).square()).sum()
    bias = cross.shape[0] * cross.shape[1] / (2 * count)
    return (information - bias).clamp_min(0.0)


ESTIMATORS: Mapping[EstimatorName, Callable[[Tensor, Tensor], Tensor]] = {
    "gaussian": gaussian_information,
    "infonce": infonce_information,
    "club": club_information,
}


def view_information(views: Tensor, estimator: EstimatorName) -> Tensor:
    """Mutual information per dimension between the views of one modality.

    Args:
        views: Shape (K, P, D).
        estimator: Which of `ESTIMATORS`.

    Returns:
        Symmetric matrix with a zero diagonal, in nats per dimension. Shape: (K, K).
    """
    entities = torch.arange(views.shape[1], device=views.device)
    return modality_information([(entities, view) for view in views], estimator)


def modality_information(
    modalities: Sequence[tuple[Tensor, Tensor]], estimator: EstimatorName
) -> Tensor:
    """Mutual information per dimension between every two modalities.

    Args:
        modalities: For each, its entities in ascending order, (P,), and their rows, (P, D).
        estimator: Which of `ESTIMATORS`.

    Returns:
        Symmetric matrix with a zero diagonal, in nats per dimension: principal components that
        vary, of the side that has fewer. A pair that meets in fewer than `MIN_CO_PRESENT` entities
        takes the mean of the pairs that do. Shape: (M, M).
    """
    count = len(modalities)
    information = torch.zeros(count, count)
    measured = torch.zeros(count, count, dtype=torch.bool)
    for i in range(count):
        for j in range(i + 1, count):
            first, second = _co_present(modalities[i], modalities[j])
            if len(first) >= MIN_CO_PRESENT:
                information[i, j] = information[j, i] = _per_dimension(first, second, estimator)
                measured[i, j] = measured[j, i] = True
    unmeasured = ~measured & ~torch.eye(count, dtype=torch.bool)
    if measured.any():
        information[unmeasured] = information[measured].mean()
    return information


def _per_dimension(first: Tensor, second: Tensor, estimator: EstimatorName) -> float:
    """Estimate nats per component; 0 if either side does not vary. Shapes: (n, d1), (n, d2)."""
    sides = whiten(first), whiten(second)
    dims = min(side.shape[1] for side in sides)
    return float(ESTIMATORS[estimator](*sides)) / dims if dims else 0.0


def _co_present(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    in_second = torch.isin(first[0], second[0], assume_unique=True)
    in_first = torch.isin(second[0], first[0], assume_unique=True)
    return first[1][in_second], second[1][in_first]
