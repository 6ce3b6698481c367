"""CMKF's strengths: what symmetry, copies, noise, relevance and absence do to them."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.fusion.cmkf import (
    RELEVANCE_FLOOR,
    pattern_of,
    patterns,
    plain_strengths,
    relevant_strengths,
)

Strengths = Callable[[Tensor, Tensor], Tensor]


def symmetric(count: int, seed: int, scale: float = 1.0) -> Tensor:
    """Draw a symmetric matrix of information with a zero diagonal. Shape: (count, count)."""
    drawn = torch.rand(count, count, generator=torch.Generator().manual_seed(seed)) * scale
    return torch.triu(drawn, 1) + torch.triu(drawn, 1).T


def plain_reference(
    information: Tensor, present: list[bool], temperature: float = 0.3
) -> list[float]:
    """Weigh one entity's modalities as the definition reads."""
    here = [m for m, is_present in enumerate(present) if is_present]
    raised = [0.0] * len(present)
    for m in here:
        others = [float(information[j, m]) for j in here if j != m]
        mean = sum(others) / len(others) if others else 0.0
        raised[m] = math.exp(-mean / temperature)
    total = sum(raised)
    return [len(here) * weight / total if total else 0.0 for weight in raised]


def plain(information: Tensor, present: Tensor) -> Tensor:
    return plain_strengths(information, 0.3, present)


def relevant(information: Tensor, present: Tensor) -> Tensor:
    return relevant_strengths(information, torch.ones(len(information)), present)


PRESENCE = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(PRESENCE, st.integers(0, 1000), st.sampled_from([0.0, 0.1, 1.0, 30.0]))
def test_plain_strengths_are_the_definition(
    present: list[list[bool]], seed: int, scale: float
) -> None:
    information = symmetric(4, seed, scale)
    strengths = plain(information, torch.tensor(present))
    expected = torch.tensor([plain_reference(information, row) for row in present])
    torch.testing.assert_close(strengths, expected, rtol=1e-3, atol=1e-5)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(PRESENCE, st.integers(0, 1000), st.sampled_from([0.0, 0.05, 0.3]))
def test_relevant_strengths_solve_the_problem(
    present: list[list[bool]], seed: int, scale: float
) -> None:
    """By its conditions: no slope where a strength is positive, and none downwards at zero."""
    information = symmetric(4, seed, scale)
    relevance = torch.rand(4, generator=torch.Generator().manual_seed(seed + 1)) + 0.1
    strengths = relevant_strengths(information, relevance, torch.tensor(present))
    shared = (1 - torch.exp(-2 * information)).fill_diagonal_(1)
    for pattern, found in zip(present, strengths, strict=True):
        here = [m for m, is_present in enumerate(pattern) if is_present]
        if len(here) < 2:
            continue
        weights = found[here] * relevance[here].max()
        slope = shared[here][:, here] @ weights - relevance[here]
        assert (slope > -0.02).all()
        assert (slope[weights > 1e-6].abs() < 0.02).all()


@pytest.mark.parametrize("strengths", [plain, relevant])
class TestEitherForm:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    @pytest.mark.parametrize("level", [0.0, 0.7, 40.0])
    def test_symmetry_gives_equal_strengths(
        self, strengths: Strengths, count: int, level: float
    ) -> None:
        information = (torch.ones(count, count) - torch.eye(count)) * level
        found = strengths(information, torch.ones(1, count, dtype=torch.bool))
        torch.testing.assert_close(found, found[:, :1].expand(1, count))

    @pytest.mark.parametrize("scale", [0.1, 1e4])
    def test_one_alone_is_as_it_is(self, strengths: Strengths, scale: float) -> None:
        found = strengths(symmetric(5, 0, scale), torch.eye(5, dtype=torch.bool))
        assert torch.equal(found, torch.eye(5))

    def test_absent_is_exactly_zero_and_nothing_is_nothing(self, strengths: Strengths) -> None:
        present = patterns(4)
        found = strengths(symmetric(4, 2), present)
        assert not found[~present].any()
        assert (found >= 0).all()
        assert (found.sum(1) > 0).tolist() == present.any(1).tolist()

    def test_what_repeats_the_others_counts_less(self, strengths: Strengths) -> None:
        information = torch.tensor([[0.0, 1.0, 0.1], [1.0, 0.0, 0.1], [0.1, 0.1, 0.0]])
        first, second, third = strengths(information, torch.ones(1, 3, dtype=torch.bool))[0]
        assert third > first
        torch.testing.assert_close(first, second)

    def test_the_order_does_not_matter(self, strengths: Strengths) -> None:
        information, order = symmetric(4, 3, 0.2), torch.tensor([2, 0, 3, 1])
        present = torch.tensor([[True, True, False, True]])
        turned = strengths(information[order][:, order], present[:, order])
        torch.testing.assert_close(
            turned, strengths(information, present)[:, order], rtol=1e-3, atol=1e-4
        )

    def test_entities_do_not_see_each_other(self, strengths: Strengths) -> None:
        rows = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
        together = strengths(symmetric(3, 1), rows)
        apart = torch.cat([strengths(symmetric(3, 1), row[None]) for row in rows])
        torch.testing.assert_close(together, apart)


class TestRelevance:
    """What the relevance-aware form is for; the plain one is shown beside it."""

    EVERYONE = torch.ones(1, 3, dtype=torch.bool)
    INDEPENDENT = torch.zeros(3, 3)

    @pytest.mark.parametrize("bits_shared", [1.0, 2.0, 20.0])
    def test_copies_share_what_one_would_have(self, bits_shared: float) -> None:
        alone = relevant_strengths(
            torch.tensor([[0.0, 0.1], [0.1, 0.0]]), torch.tensor([2.0, 1.0]), self.EVERYONE[:, :2]
        )[0]
        information = torch.tensor(
            [[0.0, 0.1, bits_shared], [0.1, 0.0, 0.1], [bits_shared, 0.1, 0.0]]
        )
        first, other, copy = relevant_strengths(
            information, torch.tensor([2.0, 1.0, 2.0]), self.EVERYONE
        )[0]
        torch.testing.assert_close(first, copy, rtol=1e-2, atol=1e-3)
        assert first + copy == pytest.approx(float(alone[0]), rel=0.1)
        share, share_before = other / (first + other + copy), alone[1] / alone.sum()
        if bits_shared > 1:
            assert share == pytest.approx(float(share_before), rel=0.05)

    def test_noise_gets_next_to_nothing_and_by_the_plain_form_the_most(self) -> None:
        information = torch.tensor([[0.0, 0.3, 0.0], [0.3, 0.0, 0.0], [0.0, 0.0, 0.0]])
        relevance = torch.tensor([2.0, 1.5, 0.0])
        *informative, noise = relevant_strengths(information, relevance, self.EVERYONE)[0]
        assert noise <= RELEVANCE_FLOOR
        assert min(informative) > 5 * noise
        *informative, noise = plain(information, self.EVERYONE)[0]
        assert noise > max(informative)

    def test_of_independent_ones_the_more_relevant_is_heard_more(self) -> None:
        strengths = relevant_strengths(
            self.INDEPENDENT, torch.tensor([3.0, 1.0, 2.0]), self.EVERYONE
        )
        expected = torch.tensor([[1.0, 1 / 3, 2 / 3]])
        torch.testing.assert_close(strengths, expected, rtol=2e-3, atol=1e-4)

    def test_nothing_relevant_at_all_is_a_plain_sum(self) -> None:
        strengths = relevant_strengths(self.INDEPENDENT, torch.zeros(3), self.EVERYONE)
        torch.testing.assert_close(strengths, torch.ones(1, 3), rtol=2e-3, atol=1e-4)


def test_a_high_temperature_levels_the_plain_strengths() -> None:
    present = torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(plain_strengths(symmetric(3, 0), 1e6, present), torch.ones(1, 3))


def test_an_entity_finds_its_pattern() -> None:
    present = torch.rand(50, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(patterns(5)[pattern_of(present)], present)
