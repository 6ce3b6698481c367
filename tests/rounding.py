"""Two trainings that may differ by rounding alone: what they learned is close, ranks nearly so.

Rounding moves no answer but past another that lies as near as that, so a rank says less of two
trainings than what they learned: that is compared closely, and one answer may move by one place.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

_SEARCHED = ("block_weights", "calibration")
"""The end of a search, which may come a step sooner or later."""


def assert_learned_the_same(first: Path, second: Path, atol: float = 2e-4) -> None:
    """Compare what two run folders hold for answering questions, tensor by tensor."""
    for file in ("model.safetensors", "scoring.safetensors"):
        expected, found = load_file(first / file), load_file(second / file)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            rtol = 2e-3 if name in _SEARCHED else 1e-4
            close = torch.isclose(value, expected[name], rtol=rtol, atol=atol, equal_nan=True)
            assert close.all(), (file, name, value[~close], expected[name][~close])


def assert_ranks_the_same(found: dict[str, Any], expected: dict[str, Any], places: int = 1) -> None:
    """Compare the metrics of a split, where answers may move by some places in all."""
    num_ranks = expected["num_ranks"]
    by_one = {"mrr": one_place_of_mrr(num_ranks), "num_ranks": 0}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        allowed = 1.001 * places * by_one.get(name, 1 / num_ranks)
        assert found[name] == pytest.approx(value, rel=1e-6, abs=allowed), name


def one_place_of_mrr(num_ranks: int) -> float:
    """Return what a mean reciprocal rank gains, at most, where one answer moves up a place."""
    return 0.5 / num_ranks
