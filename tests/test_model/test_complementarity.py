"""Mutual information against its closed form for correlated Gaussians."""

import math

import pytest
import torch
from torch import Tensor

from model.fusion.complementarity import (
    MIN_CO_PRESENT,
    gaussian_information,
    modality_information,
    view_information,
)


def noise(count: int, dim: int, seed: int) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def correlated(count: int, dim: int, rho: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw two Gaussians whose i-th coordinates correlate by rho. Shapes: (count, dim)."""
    first, other = noise(count, dim, seed), noise(count, dim, seed + 1)
    return first, rho * first + math.sqrt(1 - rho**2) * other


def invertible(dim: int, seed: int) -> Tensor:
    """Draw an invertible matrix of condition number about 10. Shape: (dim, dim)."""
    axes = torch.linalg.qr(noise(dim, dim, seed)).Q
    return axes * torch.logspace(0, 1, dim)


class TestGaussian:
    @pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, -0.8, 0.9])
    @pytest.mark.parametrize("dim", [1, 4, 12])
    def test_closed_form(self, rho: float, dim: int) -> None:
        expected = -dim / 2 * math.log(1 - rho**2)
        found = float(gaussian_information(*correlated(20_000, dim, rho)))
        # Shrinking a correlation by 1% costs up to 0.05 nats a dimension at 0.9.
        assert found == pytest.approx(expected, rel=0.07, abs=0.01)

    @pytest.mark.parametrize("dim", [8, 200])
    def test_independent_noise_shares_nothing(self, dim: int) -> None:
        found = [
            float(gaussian_information(noise(1024, dim, seed), noise(1024, dim, seed + 100)))
            for seed in range(5)
        ]
        assert max(found) < 0.1
        assert min(found) >= 0.0

    def test_a_copy_shares_much_and_stays_finite(self) -> None:
        values = noise(1024, 8, 0)
        copy = float(gaussian_information(values, values))
        assert 8 < copy < math.inf
        assert copy > 10 * float(gaussian_information(*correlated(1024, 8, 0.5)))

    @pytest.mark.parametrize("dim", [2, 7, 16])
    def test_invertible_linear_maps_and_shifts_change_nothing(self, dim: int) -> None:
        first, second = correlated(2000, dim, 0.7)
        plain = gaussian_information(first, second)
        mapped = gaussian_information(
            first @ invertible(dim, 5) + 100, second @ invertible(dim, 6) * 1e-3
        )
        assert float(mapped) == pytest.approx(float(plain), rel=1e-3)

    def test_symmetric(self) -> None:
        first, second = correlated(500, 20, 0.5)
        wide = torch.cat([second, noise(500, 10, 9)], dim=1)
        there, back = gaussian_information(first, wide), gaussian_information(wide, first)
        assert float(there) == pytest.approx(float(back), rel=1e-6)

    def test_the_order_of_the_entities_does_not_matter_if_both_keep_it(self) -> None:
        first, second = correlated(500, 6, 0.5)
        order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
        plain = float(gaussian_information(first, second))
        assert float(gaussian_information(first[order], second[order])) == pytest.approx(plain)
        assert float(gaussian_information(first[order], second)) < plain / 5

    def test_what_does_not_vary_tells_nothing(self) -> None:
        constant = torch.full((300, 4), 3.0)
        assert float(gaussian_information(constant, noise(300, 4, 0))) == 0.0
        assert float(gaussian_information(constant, constant)) == 0.0
        padded = torch.cat([noise(300, 4, 0), constant], dim=1)
        plain = float(gaussian_information(noise(300, 4, 0), noise(300, 4, 0)))
        assert float(gaussian_information(padded, padded)) == pytest.approx(plain)


class TestModalities:
    def everywhere(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return torch.arange(len(values)), values

    def test_symmetric_with_a_zero_diagonal(self) -> None:
        first, second = correlated(400, 6, 0.7)
        found = modality_information(
            [self.everywhere(values) for values in (first, second, noise(400, 6, 7))], "gaussian"
        )
        assert torch.equal(found, found.T)
        assert not found.diagonal().any()
        assert found[0, 1] > 10 * found[0, 2]
        assert found[0, 1] == pytest.approx(-0.5 * math.log(1 - 0.7**2), rel=0.15), "per dimension"

    def test_only_entities_that_have_both_count(self) -> None:
        first, second = correlated(600, 4, 0.8)
        here, there = torch.arange(0, 450), torch.arange(150, 600)
        found = modality_information([(here, first[here]), (there, second[there])], "gaussian")
        both = gaussian_information(first[150:450], second[150:450]) / 4
        assert float(found[0, 1]) == pytest.approx(float(both))

    def test_a_pair_that_hardly_meets_takes_the_mean_of_the_others(self) -> None:
        values = noise(1000, 5, 0)
        low, high = torch.arange(0, 600), torch.arange(601 - MIN_CO_PRESENT, 1000)
        everyone = torch.arange(1000)
        found = modality_information(
            [(low, values[low]), (high, values[high]), (everyone, values + noise(1000, 5, 1))],
            "gaussian",
        )
        assert float(found[0, 1]) == pytest.approx(float(found[[0, 1], [2, 2]].mean()))
        low = torch.arange(0, 601)
        enough = modality_information(
            [(low, values[low]), (high, values[high]), (everyone, values + noise(1000, 5, 1))],
            "gaussian",
        )
        assert float(enough[0, 1]) > 2 * float(enough[0, 2]), "they meet in enough, and are equal"

    def test_with_no_pair_that_meets_nothing_is_known(self) -> None:
        few = self.everywhere(noise(MIN_CO_PRESENT - 1, 5, 0))
        assert not modality_information([few, few, few], "gaussian").any()

    @pytest.mark.parametrize("count", [0, 1])
    def test_without_a_pair_there_is_nothing_to_measure(self, count: int) -> None:
        found = modality_information([self.everywhere(noise(300, 5, 0))] * count, "gaussian")
        assert found.shape == (count, count)
        assert not found.any()

    def test_views_of_the_same_entities(self) -> None:
        first, second = correlated(400, 6, 0.7)
        views = torch.stack([first, second, noise(400, 6, 7)])
        expected = modality_information([self.everywhere(view) for view in views], "gaussian")
        assert torch.equal(view_information(views, "gaussian"), expected)
