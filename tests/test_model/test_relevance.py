"""Nats gained: known in closed form where the answers are drawn from a known distribution."""

import math

import pytest
import torch
from torch import Tensor

from model.fusion.relevance import fill_unmeasured, nats_gained


def with_answers(logits: Tensor, seed: int = 0) -> Tensor:
    """Draw an answer to every row by softmax; return scores with the answer's in column 0."""
    generator = torch.Generator().manual_seed(seed)
    answers = torch.multinomial(logits.softmax(1), 1, generator=generator)
    scores = torch.cat([logits.gather(1, answers), logits], dim=1)
    return scores.scatter(1, answers + 1, -torch.inf)


def offsets_of(scores: Tensor) -> Tensor:
    return torch.where(scores.isinf(), -torch.inf, 0.0)


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_it_is_the_information_whatever_the_scale(scale: float) -> None:
    logits = torch.randn(4000, 20, generator=torch.Generator().manual_seed(1)) * 2
    beliefs = logits.softmax(1)
    information = math.log(20) + float((beliefs * beliefs.log()).sum(1).mean())
    scores = with_answers(logits)
    offsets = offsets_of(scores)
    found = nats_gained(scores.nan_to_num(neginf=0.0) * scale, offsets)
    assert float(found) == pytest.approx(information, abs=0.06)


def test_noise_knows_nothing() -> None:
    scores = torch.randn(4000, 21, generator=torch.Generator().manual_seed(2))
    assert 0 <= float(nats_gained(scores, torch.zeros_like(scores))) < 1e-3


def test_what_is_always_wrong_knows_nothing() -> None:
    scores = torch.randn(500, 21, generator=torch.Generator().manual_seed(2))
    scores[:, 0] = -10
    assert float(nats_gained(scores, torch.zeros_like(scores))) == 0
    assert float(nats_gained(torch.zeros(5, 7), torch.zeros(5, 7))) == 0


def test_certainty_knows_all() -> None:
    scores = torch.zeros(100, 51)
    scores[:, 0] = 1
    assert float(nats_gained(scores, torch.zeros(100, 51))) == pytest.approx(math.log(51), abs=1e-3)


def test_what_was_not_measured_takes_the_mean() -> None:
    found = fill_unmeasured(torch.tensor([1.0, torch.nan, 3.0]))
    assert found.tolist() == [1.0, 2.0, 3.0]
    assert fill_unmeasured(torch.full((3,), torch.nan)).tolist() == [1.0] * 3
    assert fill_unmeasured(torch.tensor([0.0, torch.nan])).tolist() == [1.0] * 2
