"""Mutual information by small networks: InfoNCE from below, CLUB from above.

They are trained on one part of the entities and asked about the other. Both see each side through
its leading principal components, and leave torch's random state alone.

Shapes: n entities, p components.
"""

import math
from collections.abc import Callable, Iterator
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.fusion.whitening import MAX_DIM, whiten

HIDDEN_DIM = 64
BATCH_SIZE = 256
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-3
NUM_STEPS = 300

Loss = Callable[[Tensor, Tensor], Tensor]


def infonce_information(first: Tensor, second: Tensor, max_dim: int = MAX_DIM) -> Tensor:
    """Bound mutual information from below by how well pairs are told from strangers.

    I >= ln B + E[f(x_i, y_i) - ln sum_j e^f(x_i, y_j)] over batches of B pairs, for any critic f;
    here f is a product of two networks, and both directions are averaged. It is never above
    ln B: what two sides share beyond 5.5 nats does not show.

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding"
    (2018); Poole et al., "On Variational Bounds of Mutual Information" (ICML 2019).

    Args:
        first: One representation. Shape: (n, d1).
        second: The other, of the same entities. Shape: (n, d2).
        max_dim: Principal components kept of either.

    Returns:
        Nats, at least zero. Shape: ().
    """
    with _Experiment(first, second, max_dim) as experiment:
        critics = nn.ModuleList(_Network(side.shape[1], HIDDEN_DIM) for side in experiment.sides)

        def loss(left: Tensor, right: Tensor) -> Tensor:
            scores = critics[0](left) @ critics[1](right).T / math.sqrt(HIDDEN_DIM)
            target = torch.arange(len(scores), device=scores.device)
            return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2

        experiment.train(critics, loss)
        bound = experiment.mean_bound(lambda left, right: math.log(len(left)) - loss(left, right))
    return torch.tensor(max(0.0, bound))


def club_information(first: Tensor, second: Tensor, max_dim: int = MAX_DIM) -> Tensor:
    """Bound mutual information from above by how much one side narrows down the other.

    I <= E[ln q(y_i | x_i)] - E[ln q(y_j | x_i)] over pairs and strangers, if q is the conditional
    density; here q is a Gaussian whose mean and variance networks predict, fitted by its full
    likelihood, and both directions are averaged. For Gaussians of correlation rho the bound is
    rho^2 / (1 - rho^2), where the information is -ln(1 - rho^2) / 2: loose where much is shared.

    Source: Cheng et al., "CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information" (ICML
    2020).

    Args:
        first: One representation. Shape: (n, d1).
        second: The other, of the same entities. Shape: (n, d2).
        max_dim: Principal components kept of either.

    Returns:
        Nats, at least zero. Shape: ().
    """
    there, back = (_club(*sides, max_dim) for sides in ((first, second), (second, first)))
    return torch.tensor(max(0.0, (there + back) / 2))


def _club(first: Tensor, second: Tensor, max_dim: int) -> float:
    with _Experiment(first, second, max_dim) as experiment:
        given, told = (side.shape[1] for side in experiment.sides)
        network = _Network(given, 2 * told)

        def loss(left: Tensor, right: Tensor) -> Tensor:
            return -_log_density(network(left), right).mean()

        experiment.train(network, loss)

        def bound(left: Tensor, right: Tensor) -> Tensor:
            everybody = _log_density(network(left).unsqueeze(1), right.unsqueeze(0))  # (B, B)
            return everybody.diagonal().mean() - everybody.mean()

        return experiment.mean_bound(bound)


def _log_density(prediction: Tensor, values: Tensor) -> Tensor:
    """Logarithm of a diagonal Gaussian's density. Shapes: (..., 2p), (..., p) -> (...)."""
    mean, log_variance = prediction.chunk(2, dim=-1)
    log_variance = log_variance.clamp(-8, 8)
    squared = (values - mean).square() / log_variance.exp()
    return -0.5 * (squared + log_variance + math.log(2 * math.pi)).sum(-1)


class _Network(nn.Module):
    """A linear map and a correction by one hidden layer."""

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dim, output_dim)
        self.hidden = nn.Sequential(
            nn.Linear(input_dim, HIDDEN_DIM), nn.ReLU(), nn.Linear(HIDDEN_DIM, output_dim)
        )

    def forward(self, values: Tensor) -> Tensor:
        total: Tensor = self.linear(values) + self.hidden(values)
        return total


class _Experiment:
    """Two sides, cut into a part to train on and a part to ask, with random numbers of its own."""

    def __init__(self, first: Tensor, second: Tensor, max_dim: int) -> None:
        self.sides = [whiten(side.detach(), max_dim).float() for side in (first, second)]
        self._fork = torch.random.fork_rng()

    def __enter__(self) -> "_Experiment":
        self._fork.__enter__()
        torch.manual_seed(0)
        count = len(self.sides[0])
        self._order = torch.randperm(count)
        self._num_asked = count // 4
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fork.__exit__(kind, error, trace)

    def train(self, network: nn.Module, loss: Loss) -> None:
        """Minimise a loss over batches of the training part."""
        network.to(self.sides[0].device)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_STEPS)
        part = self._order[self._num_asked :]
        with torch.enable_grad():
            for _ in range(NUM_STEPS):
                batch = part[torch.randint(len(part), (BATCH_SIZE,))]
                optimizer.zero_grad()
                loss(*(side[batch] for side in self.sides)).backward()
                optimizer.step()
                schedule.step()

    def mean_bound(self, bound: Loss) -> float:
        """Average a bound over batches of the part to ask."""
        with torch.no_grad():
            bounds = [float(bound(*batch)) for batch in self._held_back()]
        return sum(bounds) / len(bounds)

    def _held_back(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._order[: self._num_asked].split(BATCH_SIZE):
            yield self.sides[0][batch], self.sides[1][batch]
