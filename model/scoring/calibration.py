"""What turns a model's scores into probabilities, beside the scores themselves.

Shapes: R relations (inverses not counted), F features of entities, K classes of entities.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_PREFIX = "calibration."


@dataclass(frozen=True)
class Calibration:
    """What is fitted on what came true, and on who takes part in what.

    Attributes:
        lines: Of each relation, intercept and weights of the larger and the smaller log-odds of a
            triple by its two questions; see `model.probability.calibration`. Shape: (R, 3).
        participation: Classes of entities, of `model.probability.participation`. Shape: (K, F + 1).
        share_held_out: Share of the known facts that the selected model has not learned.
    """

    lines: Tensor
    participation: Tensor
    share_held_out: float

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name, as it is stored."""
        held_out = torch.tensor(self.share_held_out, dtype=torch.double)
        parts = {
            "lines": self.lines,
            "participation": self.participation,
            "share_held_out": held_out,
        }
        return {_PREFIX + name: value for name, value in parts.items()}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor]) -> "Calibration":
        """Put together what `tensors` took apart."""
        lines, participation, held_out = (
            tensors[_PREFIX + name] for name in ("lines", "participation", "share_held_out")
        )
        return Calibration(lines, participation, float(held_out))

    @staticmethod
    def none(num_relations: int, device: torch.device | str = "cpu") -> "Calibration":
        """Return one that is fitted on nothing."""
        return Calibration(identity_lines(num_relations, device), torch.zeros(0, 1), 0.0)


def identity_lines(num_relations: int, device: torch.device | str = "cpu") -> Tensor:
    """Return lines that take the larger log-odds as they are. Shape: (R, 3)."""
    return torch.tensor([0.0, 1.0, 0.0], device=device).repeat(num_relations, 1)
