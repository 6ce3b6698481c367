"""Dropout by bits: how much is hidden, where, and what gradients see of it."""

import pytest
import torch

from model.layers.dropout import hide, kept_bits

CPU = torch.device("cpu")
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 0.999, 1.0])
@pytest.mark.parametrize("shape", [(1,), (3, 7, 5), (400, 1001)])
def test_a_share_is_hidden(share: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    kept = kept_bits(torch.Size(shape), share, CPU)
    assert kept.shape == shape
    assert set(kept.flatten().tolist()) <= {0, -1}
    deviation = (share * (1 - share) / kept.numel()) ** 0.5
    assert abs(float((kept == 0).float().mean()) - share) <= 4 * deviation + 2**-15


def test_places_are_independent() -> None:
    torch.manual_seed(0)
    kept = kept_bits(torch.Size((4000, 64)), 0.5, CPU).double()
    correlation = torch.corrcoef(kept.T).fill_diagonal_(0)
    assert float(correlation.abs().max()) < 5 / 4000**0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_kept_is_kept_to_the_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.randn(50, 21).to(dtype).expand(3, 50, 21)
    found = hide(values, 0.4)
    assert found.dtype == dtype
    hidden = found == 0
    assert 0.3 < float(hidden.float().mean()) < 0.5
    assert torch.equal(found[~hidden], values[~hidden])
    assert not torch.equal(hidden[0], hidden[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_reach_what_is_kept(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.ones(30, 7, dtype=dtype, requires_grad=True)
    found = hide(values, 0.4)
    (found * 3).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, 3 * found.detach())


def test_what_is_not_a_number_is_hidden_as_well() -> None:
    torch.manual_seed(0)
    assert 0.4 < float((hide(torch.full((4000,), torch.nan), 0.5) == 0).float().mean()) < 0.6
