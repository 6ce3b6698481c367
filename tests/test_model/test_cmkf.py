"""CMKF's weights: what they sum to, what symmetry and absence do to them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.cmkf import inter_weights, intra_weights


def symmetric(count: int, seed: int, scale: float = 1.0) -> Tensor:
    """Draw a symmetric matrix of information with a zero diagonal. Shape: (count, count)."""
    drawn = torch.rand(count, count, generator=torch.Generator().manual_seed(seed)) * scale
    return torch.triu(drawn, 1) + torch.triu(drawn, 1).T


def reference(information: Tensor, present: list[bool], temperature: float) -> list[float]:
    """Weigh one entity's modalities as the definition reads."""
    here = [m for m, is_present in enumerate(present) if is_present]
    weights = [0.0] * len(present)
    for m in here:
        others = [float(information[j, m]) for j in here if j != m]
        mean = sum(others) / len(others) if others else 0.0
        weights[m] = math.exp(-mean / temperature)
    total = sum(weights)
    return [weight / total if total else 0.0 for weight in weights]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    present=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    temperature=st.sampled_from([0.05, 1.0, 20.0]),
)
def test_inter_weights_are_the_definition(
    present: list[list[bool]], seed: int, scale: float, temperature: float
) -> None:
    information = symmetric(4, seed, scale)
    mask = torch.tensor(present)
    weights = inter_weights(information, mask, temperature)
    expected = torch.tensor([reference(information, row, temperature) for row in present])
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-5)
    assert not weights[~mask].any(), "absent is exactly zero"
    torch.testing.assert_close(weights.sum(1), mask.any(1).float())


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_symmetry_gives_equal_weights(count: int) -> None:
    level = (torch.ones(count, count) - torch.eye(count)) * 0.7
    expected = torch.full((count,), 1 / count)
    torch.testing.assert_close(intra_weights(level, 0.1), expected)
    torch.testing.assert_close(intra_weights(torch.zeros(count, count), 0.1), expected)


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_one_view_has_weight_exactly_one(temperature: float) -> None:
    assert intra_weights(torch.zeros(1, 1), temperature).tolist() == [1.0]


@pytest.mark.parametrize("scale", [0.1, 1e4])
def test_one_present_modality_has_weight_exactly_one(scale: float) -> None:
    weights = inter_weights(symmetric(5, 0, scale), torch.eye(5, dtype=torch.bool), 0.01)
    assert torch.equal(weights, torch.eye(5))


def test_what_repeats_the_others_counts_less() -> None:
    information = torch.tensor([[0.0, 1.0, 0.1], [1.0, 0.0, 0.1], [0.1, 0.1, 0.0]])
    weights = intra_weights(information, 0.5)
    assert weights[2] > weights[0]
    assert weights[0] == weights[1]


def test_the_order_of_the_modalities_does_not_matter() -> None:
    information, order = symmetric(4, 3), torch.tensor([2, 0, 3, 1])
    present = torch.tensor([[True, True, False, True]])
    weights = inter_weights(information, present, 0.3)
    turned = inter_weights(information[order][:, order], present[:, order], 0.3)
    torch.testing.assert_close(turned, weights[:, order])


def test_a_high_temperature_levels_the_weights() -> None:
    torch.testing.assert_close(intra_weights(symmetric(3, 0), 1e6), torch.full((3,), 1 / 3))


def test_entities_do_not_see_each_other() -> None:
    information = symmetric(3, 1)
    rows = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    together = inter_weights(information, rows, 0.2)
    apart = torch.cat([inter_weights(information, row[None], 0.2) for row in rows])
    assert torch.equal(together, apart)
