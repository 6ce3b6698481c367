"""The experts' dropout hides from each apart, and keeps the expectation."""

import torch

from model.encoder.experts import ModalityExperts


def test_dropout_hides_from_every_expert_apart_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    experts = ModalityExperts(6, 4, num_experts=3, dropout=0.4)
    rows = torch.randn(5, 6)
    views = torch.stack([experts(rows) for _ in range(4000)]).detach()
    torch.testing.assert_close(views.mean(0), experts.eval()(rows), rtol=0, atol=0.03)
    same = (views - experts.bias).abs() < 1e-7
    assert not bool(same.all(dim=(0, 2, 3)).any())
