"""What a finished training knows of its modalities, read from its weights: for reports.

Shapes: M modalities of the entities' own, A all modalities (those, and the neighbours if they are
heard), K experts of each.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.config import CONTENT, NEIGHBOURS
from model.runs.run_folder import RunFolder

FloatArray = NDArray[np.float32]

_STRENGTHS = f"contents.{CONTENT}.strengths"


@dataclass(frozen=True)
class Complementarity:
    """What was measured of fused modalities and their experts; see `model.fusion.strengths`.

    Attributes:
        own: Names of the entities' own modalities.
        modalities: Those, and the neighbours.
        information: Nats per dimension that modalities share, zeros on the diagonal. Shape: (M, M).
        relevance: Nats that each knows alone; NaN: not measured. Shape: (M,).
        strengths: Strength of each in an entity that has all of them. Shape: (M,).
        expert_information: As `information`, between the experts of each. Shape: (A, K, K).
    """

    own: tuple[str, ...]
    modalities: tuple[str, ...]
    information: FloatArray
    relevance: FloatArray
    strengths: FloatArray
    expert_information: FloatArray

    @property
    def num_experts(self) -> int:
        """K."""
        return int(self.expert_information.shape[1])

    @property
    def is_information_measured(self) -> bool:
        """Whether it is known what the modalities share: fusion asked, and enough have several."""
        return bool(self.information.any())

    @property
    def is_relevance_measured(self) -> bool:
        """Whether it is known of any modality what it knows."""
        return bool(np.isfinite(self.relevance).any())

    @property
    def are_experts_measured(self) -> bool:
        """Whether it is known what the experts share."""
        return bool(self.expert_information.any())


def read_complementarity(run_dir: Path, modalities: tuple[str, ...]) -> Complementarity | None:
    """Read what a finished run measured of its modalities.

    Args:
        run_dir: The run's folder.
        modalities: Names of the content's modalities, in the order of the fusion.

    Returns:
        None if the model has no fused content.

    Raises:
        MocmeError: If the file is not there, or damaged.
    """
    found = RunFolder(run_dir).read_weights()
    if f"{_STRENGTHS}.inter_information" not in found:
        return None
    information, relevance, strengths, expert_information = (
        found[f"{_STRENGTHS}.{part}"].numpy()
        for part in ("inter_information", "inter_relevance", "of_patterns", "intra_information")
    )
    return Complementarity(
        own=tuple(name for name in modalities if name != NEIGHBOURS),
        modalities=modalities,
        information=information,
        relevance=relevance,
        strengths=strengths[-1],
        expert_information=expert_information,
    )
