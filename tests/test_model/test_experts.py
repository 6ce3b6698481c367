"""The experts' dropout: how much is hidden, and that the expectation stays."""

import pytest
import torch

from model.experts import ModalityExperts, random_mask

CPU = torch.device("cpu")


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 0.999, 1.0])
@pytest.mark.parametrize("shape", [(1,), (3, 7, 5), (400, 1001)])
def test_a_mask_is_true_for_its_share(share: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    mask = random_mask(torch.Size(shape), share, CPU)
    assert mask.shape == shape
    deviation = (share * (1 - share) / mask.numel()) ** 0.5
    assert abs(float(mask.float().mean()) - share) <= 4 * deviation + 2**-15


def test_places_of_a_mask_are_independent() -> None:
    torch.manual_seed(0)
    mask = random_mask(torch.Size((4000, 64)), 0.5, CPU).double()
    correlation = torch.corrcoef(mask.T).fill_diagonal_(0)
    assert float(correlation.abs().max()) < 5 / 4000**0.5


def test_dropout_hides_from_every_expert_apart_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    experts = ModalityExperts(6, 4, num_experts=3, dropout=0.4)
    rows = torch.randn(5, 6)
    views = torch.stack([experts(rows) for _ in range(4000)]).detach()
    torch.testing.assert_close(views.mean(0), experts.eval()(rows), rtol=0, atol=0.03)
    same = (views - experts.bias).abs() < 1e-7
    assert not bool(same.all(dim=(0, 2, 3)).any())
