"""The share of the known facts that a run held out, read without torch."""

from pathlib import Path

from safetensors import safe_open

from model.runs.run_files import SCORING_FILE, answering_folder, reading

_NAME = "calibration.share_held_out"  # as `model.scoring.calibration.Calibration` stores it


def read_share_held_out(root: Path) -> float:
    """Return the share of the known facts that a run's selected model has not learned.

    Args:
        root: The run's folder.

    Raises:
        MocmeError: If what holds it is absent, damaged or cannot be read.
    """
    path = answering_folder(root) / SCORING_FILE
    with reading(path), safe_open(path, framework="numpy") as file:
        return float(file.get_tensor(_NAME))
