"""What two trainings learned, compared closely: nearer than any rank tells."""

from pathlib import Path

import torch
from safetensors.torch import load_file


def learned_alike(first: Path, second: Path, atol: float) -> bool:
    """Whether two run folders hold the same for answering questions but for rounding.

    Which answers a calibration was fitted to may differ by rounding; what was fitted may not.
    """
    files = ("model.safetensors", "scoring.safetensors")
    return all(_alike(first / name, second / name, atol) for name in files)


def _alike(first: Path, second: Path, atol: float) -> bool:
    expected, found = load_file(first), load_file(second)
    return expected.keys() == found.keys() and all(
        torch.allclose(found[name], expected[name], rtol=1e-4, atol=atol, equal_nan=True)
        for name in expected
        if not name.startswith("calibration.held_out.")
    )
