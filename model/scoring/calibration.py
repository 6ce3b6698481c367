"""What turns a model's scores into probabilities, beside the scores themselves.

Shapes: R relations (inverses not counted), F features of a triple, K classes of entities, n
triples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.scoring.held_out import HeldOutAnswers

_PREFIX = "calibration."
NUM_FEATURES = 7
"""F: features of a triple; see `model.probability.triple_probabilities`."""


@dataclass(frozen=True)
class Lines:
    """Weights that turn the features of a triple into its log-odds, and their uncertainty.

    Log-odds above 0 are moderated: the probability is the mean over the distribution of the weights
    (MacKay, "The Evidence Framework Applied to Classification Networks", Neural Computation 1992),
    so it is smaller where few answers were there to fit them. Log-odds below 0 stay as they are.

    Attributes:
        weights: Of each relation, float32. Shape: (R, F).
        covariances: Of the weights' distribution, float32; 0 where they are taken as they are.
            Shape: (R, F, F).
    """

    weights: Tensor
    covariances: Tensor

    def log_odds(self, features: Tensor, relations: Tensor) -> Tensor:
        """Return the log-odds of triples.

        Args:
            features: Shape: (n, F), float64.
            relations: Index of each. Shape: (n,).

        Returns:
            Shape: (n,), float64.
        """
        mean = (features * self.weights.double()[relations]).sum(1)
        covariances = self.covariances.double()[relations]
        variance = torch.einsum("nf,nfg,ng->n", features, covariances, features)
        return torch.where(mean > 0, mean / (1 + math.pi / 8 * variance).sqrt(), mean)

    @staticmethod
    def identity(num_relations: int, device: torch.device | str = "cpu") -> "Lines":
        """Return lines that take the larger log-odds of the two questions as they are."""
        weights = torch.zeros(num_relations, NUM_FEATURES, device=device)
        weights[:, 1] = 1.0
        shape = (num_relations, NUM_FEATURES, NUM_FEATURES)
        return Lines(weights, torch.zeros(shape, device=device))


@dataclass(frozen=True)
class Calibration:
    """What is fitted on facts that were held out, and on which entities take part in what.

    Attributes:
        lines: Turn the features of a triple into its log-odds.
        participation: Classes of entities, of `model.probability.participation`: a chance of each
            feature of entities, and the class's share. Shape: (K, any).
        held_out: What the lines were fitted to.
        prior: Weights that the lines were fitted from. Shape: (R, F).
        missing_share: Share of all facts that the graph is taken to lack.
        most_missing: Share that it can lack at most, by what came true; 1 where nothing bounds it.
    """

    lines: Lines
    participation: Tensor
    held_out: HeldOutAnswers
    prior: Tensor
    missing_share: float
    most_missing: float

    @property
    def share_for_features(self) -> float:
        """Missing share that features of triples have to be computed with."""
        return self.held_out.share_for_features(self.missing_share)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name, as it is stored."""
        parts = {
            "lines": self.lines.weights,
            "covariances": self.lines.covariances,
            "participation": self.participation,
            "prior": self.prior,
            "missing_share": torch.tensor(self.missing_share, dtype=torch.double),
            "most_missing": torch.tensor(self.most_missing, dtype=torch.double),
            **self.held_out.tensors(),
        }
        return {_PREFIX + name: value for name, value in parts.items()}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor]) -> "Calibration":
        """Put together what `tensors` took apart."""
        parts = {
            name.removeprefix(_PREFIX): value
            for name, value in tensors.items()
            if name.startswith(_PREFIX)
        }
        return Calibration(
            Lines(parts["lines"], parts["covariances"]),
            parts["participation"],
            HeldOutAnswers.of_tensors(parts),
            parts["prior"],
            float(parts["missing_share"]),
            float(parts["most_missing"]),
        )

    @staticmethod
    def none(num_relations: int, device: torch.device | str = "cpu") -> "Calibration":
        """Return one that is fitted on nothing."""
        lines = Lines.identity(num_relations, device)
        held_out = HeldOutAnswers.none(num_relations, NUM_FEATURES, device=device)
        return Calibration(lines, torch.zeros(0, 1), held_out, lines.weights, 0.0, 1.0)
