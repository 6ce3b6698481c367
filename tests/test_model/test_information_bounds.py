"""InfoNCE and CLUB against the closed form for correlated Gaussians, and what they bound."""

import math

import pytest
import torch
from test_complementarity import correlated, noise

from model.fusion.complementarity import ESTIMATORS
from model.fusion.information_bounds import BATCH_SIZE, club_information, infonce_information

NUM_ENTITIES = 4000
EVERY_RUN = {(1, 0.0), (1, -0.6), (4, 0.9)}
every_correlation = pytest.mark.parametrize(
    ("dim", "rho"),
    [
        pytest.param(dim, rho, marks=() if (dim, rho) in EVERY_RUN else pytest.mark.slow)
        for dim in (1, 4)
        for rho in (0.0, 0.3, -0.6, 0.9)
    ],
)


@every_correlation
def test_infonce_is_below_and_close(dim: int, rho: float) -> None:
    truth = -dim / 2 * math.log(1 - rho**2)
    found = float(infonce_information(*correlated(NUM_ENTITIES, dim, rho)))
    assert 0.9 * truth - 0.03 <= found <= truth + 0.05


@every_correlation
def test_club_is_above_and_of_its_own_closed_form(dim: int, rho: float) -> None:
    truth = -dim / 2 * math.log(1 - rho**2)
    found = float(club_information(*correlated(NUM_ENTITIES, dim, rho)))
    assert found == pytest.approx(dim * rho**2 / (1 - rho**2), rel=0.15, abs=0.03)
    assert found >= truth - 0.03


def test_infonce_is_capped_by_the_batch() -> None:
    values = noise(NUM_ENTITIES, 12, 0)
    assert 4 < float(infonce_information(values, values)) <= math.log(BATCH_SIZE)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_more_shared_is_more_information(name: str) -> None:
    found = [float(ESTIMATORS[name](*correlated(2000, 6, rho))) for rho in (0.2, 0.5, 0.8)]
    assert found == sorted(found)
    assert found[2] > 4 * found[0]


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_wide_independent_noise_shares_nothing(name: str) -> None:
    assert float(ESTIMATORS[name](noise(1024, 200, 0), noise(1024, 200, 1))) < 0.1


@pytest.mark.parametrize("name", ["infonce", "club"])
def test_what_is_not_linear_is_seen(name: str) -> None:
    """A size says much of a signed number, and nothing that a correlation would show."""
    first, other = noise(8000, 1, 0), noise(8000, 1, 1)
    second = first.abs() + 0.3 * other
    assert float(ESTIMATORS["gaussian"](first, second)) < 0.02
    assert float(ESTIMATORS[name](first, second)) > 0.3


@pytest.mark.parametrize("name", ["infonce", pytest.param("club", marks=pytest.mark.slow)])
def test_repeats_itself_and_leaves_the_random_state_alone(name: str) -> None:
    first, second = correlated(600, 3, 0.5)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = [float(ESTIMATORS[name](first, second)) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(torch.get_rng_state(), before)
