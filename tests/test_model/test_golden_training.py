"""Losses and gradients of small trainings stay what they were; see `golden_training`."""

import itertools
import json
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
from golden_training import (
    GOLDEN_FILE,
    MODES,
    NUM_EPOCHS,
    OPTIONS,
    STEPS_OF_AN_EPOCH,
    cases,
    golden_tables,
    golden_world,
    measure,
)
from planted_graph import World

from model.config import RELEVANCE_AWARE, FusionName, ScorerName
from storage.features.table import FeatureTable

pytestmark = pytest.mark.slow  # `python -m pytest -m slow`: before and after a change of a training
CASES = cases()
TOLERANCE = 1e-5
"""Largest relative difference."""
FLOOR = 5e-6
"""Difference of a gradient's norm, relative to that of all gradients, that rounding explains."""
RELEVANCE_FLOOR = 3e-5
"""The same where strengths depend on relevance, whose search ends at a relative 1e-4."""


@pytest.fixture(scope="module")
def world() -> World:
    return golden_world()


@pytest.fixture(scope="module")
def tables(world: World) -> dict[str, FeatureTable]:
    return golden_tables(world)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN_FILE.read_text())
    return found


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_what_they_were(
    name: str, world: World, tables: Mapping[str, FeatureTable], golden: Mapping[str, Any]
) -> None:
    expected, found = golden[name], measure(CASES[name], world, tables)
    assert len(found["norms"]) == NUM_EPOCHS * STEPS_OF_AN_EPOCH
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=TOLERANCE)
    np.testing.assert_allclose(found["norms"], expected["norms"], rtol=TOLERANCE)
    assert found["gradients"].keys() == expected["gradients"].keys()
    is_relevance_aware = CASES[name].model.fusion in RELEVANCE_AWARE
    floor = (RELEVANCE_FLOOR if is_relevance_aware else FLOOR) * expected["norms"][-1]
    assert found["gradients"] == pytest.approx(expected["gradients"], rel=TOLERANCE, abs=floor)


def test_every_case_has_numbers(golden: Mapping[str, Any]) -> None:
    assert golden.keys() == CASES.keys()


def test_scorers_fusions_and_modes_meet_in_pairs() -> None:
    for kind in ("dropout", "no-dropout"):
        words = [name.split() for name in CASES if name.endswith(f" {kind}")]
        fusions, scorers, modes = (set(it) for it in list(zip(*words, strict=True))[:3])
        assert (fusions, scorers, modes) == (
            set(get_args(FusionName)),
            set(get_args(ScorerName)),
            set(MODES),
        )
    words = [name.split() for name in CASES]
    for first, second in itertools.combinations(range(3), 2):
        pairs = {(it[first], it[second]) for it in words}
        assert len(pairs) == len({it for it, _ in pairs}) * len({it for _, it in pairs})


def test_values_of_options_meet_in_pairs() -> None:
    for (first, firsts), (second, seconds) in itertools.combinations(OPTIONS.items(), 2):
        met = {(case.options[first], case.options[second]) for case in CASES.values()}
        assert met == set(itertools.product(firsts, seconds)), (first, second)
