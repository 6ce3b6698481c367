"""How much a run takes its graph to lack, read without torch."""

from pathlib import Path
from typing import NamedTuple

from safetensors import safe_open

from model.runs.run_files import SCORING_FILE, answering_folder, reading

_PREFIX = "calibration."  # as `model.scoring.calibration.Calibration` stores it


class MissingShare(NamedTuple):
    """How much a graph is taken to lack.

    Attributes:
        assumed: Share of all facts.
        most: Share that it can lack at most, by what came true; 1 where that tells nothing.
    """

    assumed: float
    most: float


def read_missing_share(root: Path) -> MissingShare:
    """Return how much a run takes its graph to lack where nothing is stated.

    Args:
        root: The run's folder.

    Raises:
        MocmeError: If what holds it is absent, damaged or cannot be read.
    """
    path = answering_folder(root) / SCORING_FILE
    with reading(path), safe_open(path, framework="numpy") as file:
        assumed, most = (
            float(file.get_tensor(_PREFIX + name)) for name in ("missing_share", "most_missing")
        )
    return MissingShare(assumed, most)
