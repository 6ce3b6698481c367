"""A function of rows, part by part: the same values and gradients as of all rows at once."""

import pytest
import torch
from torch import Tensor

from model.layers import by_rows as module
from model.layers.by_rows import by_rows

NUM_ROWS = 11


def gate(left: Tensor, right: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Do something that mixes a row's numbers; the second result tells of the first."""
    passed = (left @ weight + bias).sigmoid() * right.sum(1)
    return passed, passed.norm(dim=1)


def inputs() -> list[Tensor]:
    """Return rows of two kinds and what they share."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(NUM_ROWS, 3), (NUM_ROWS, 2, 4), (3, 4), (4,)]
    return [torch.randn(shape, dtype=torch.double, generator=generator) for shape in shapes]


def result_of(leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return by_rows(gate, leaves[:2], leaves[2:])


@pytest.mark.parametrize("numbers", [1, 11 * 4, 11 * 11, 2**20])
class TestParts:
    @pytest.fixture(autouse=True)
    def small_parts(self, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_NUMBERS_OF_A_PART", numbers)
        monkeypatch.setattr(module, "_FEW_PARTS", 0)

    def test_change_no_value(self) -> None:
        leaves = inputs()
        for found, expected in zip(result_of(leaves), gate(*leaves), strict=True):
            torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("constant", [[], [0], [1], [2, 3], [0, 1]])
    def test_change_no_gradient(self, constant: list[int]) -> None:
        upstream = torch.randn(NUM_ROWS, 4, dtype=torch.double)
        gradients = []
        for way in (result_of, lambda leaves: gate(*leaves)):
            leaves = [
                it.requires_grad_(number not in constant) for number, it in enumerate(inputs())
            ]
            (way(leaves)[0] * upstream).sum().backward()
            gradients.append([it.grad for it in leaves])
        for found, expected in zip(*gradients, strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                torch.testing.assert_close(found, expected)

    def test_only_the_first_result_has_a_gradient(self) -> None:
        passed, lengths = result_of([it.requires_grad_() for it in inputs()])
        assert passed.requires_grad
        assert not lengths.requires_grad


@pytest.mark.parametrize(("few", "expected"), [(3, [3, 3, 3, 2]), (4, [11])])
def test_parts_are_small_if_there_are_many(
    few: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NUMBERS_OF_A_PART", 3 * 11)
    monkeypatch.setattr(module, "_FEW_PARTS", few)
    seen = []

    def spy(*parts: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(len(parts[0]))
        return gate(*parts)

    leaves = inputs()
    by_rows(spy, leaves[:2], leaves[2:])
    assert seen == expected


def test_no_rows() -> None:
    first, second, *shared = inputs()
    empty = [first[:0].requires_grad_(), second[:0].requires_grad_()]
    passed, lengths = by_rows(gate, empty, [it.requires_grad_() for it in shared])
    assert passed.shape == (0, 4)
    assert lengths.shape == (0,)
    passed.sum().backward()
    assert not shared[0].grad.any()
