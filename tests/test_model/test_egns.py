"""EGNS: categories by entropy, weights, and the losses that they enter."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_training import negatives_config
from torch import Tensor
from torch.nn import functional as F

from model.config import EgnsConfig, NegativesConfig
from model.negatives.egns import (
    ambiguous_margin,
    egns_weights,
    one_vs_all_loss,
    sampled_loss,
    weights,
)

EASY, AMBIGUOUS, HARD = 3.0, 5.0, 7.0
MARKED = {"easy_weight": EASY, "ambiguous_weight": AMBIGUOUS, "hard_weight": HARD}
WEIGHTINGS = ["none", "self_adversarial", "egns"]
MODES = ["all", "sampled"]
FLAT = {"easy_weight": 1.0, "ambiguous_weight": 1.0, "hard_weight": 1.0}


def draw(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def entropy(difference: float, temperature: float) -> tuple[float, float]:
    """Return the chance that a negative outranks its positive, and the entropy of that coin."""
    chance = 1 / (1 + math.exp(-difference / temperature))
    parts = [p * math.log(p) for p in (chance, 1 - chance) if p > 0]
    return chance, -sum(parts)


def masking(**changes: Any) -> NegativesConfig:
    """Return options by which other true answers are left out."""
    return negatives_config(known_weight=0, **changes)


def loss_of(mode: str, scores: Tensor, masked: Tensor, config: NegativesConfig) -> Tensor:
    """Compute either loss of positives in column 0, the other columns being negatives.

    Args:
        mode: `all` or `sampled`.
        scores: Shape (B, 1 + N).
        masked: Which negatives are known to be true. Shape: (B, N).
        config: How negatives are weighed.
    """
    if mode == "sampled":
        negatives = scores[:, 1:].masked_fill(masked, -torch.inf)
        return sampled_loss(scores[:, :1], negatives, config)
    is_known = torch.cat([torch.ones(len(scores), 1, dtype=torch.bool), masked], dim=1)
    known = is_known.nonzero().T
    return one_vs_all_loss(scores, answers_in([0] * len(scores)), known, config)


def answers_in(columns: list[int]) -> Tensor:
    """Return one answer a question, in the columns given."""
    return torch.tensor([range(len(columns)), columns])


def plain_loss(mode: str, scores: Tensor, masked: Tensor) -> Tensor:
    """Compute the loss without weights, as the definition reads."""
    if mode == "all":
        hidden = F.pad(masked, (1, 0))
        logits = scores.double().masked_fill(hidden, -torch.inf)
        return -logits.log_softmax(1)[:, 0]
    positive, negatives = scores[:, 0].double(), scores[:, 1:].double()
    terms = (-F.logsigmoid(-negatives)).masked_fill(masked, 0.0)
    return -F.logsigmoid(positive) + terms.sum(1) / (~masked).sum(1).clamp_min(1)


class TestCategories:
    @settings(deadline=None, max_examples=100, derandomize=True)
    @given(
        difference=st.floats(-30, 30, width=32),
        threshold=st.floats(0.01, 0.69),
        temperature=st.sampled_from([0.1, 1.0, 7.0]),
    )
    def test_by_the_entropy(self, difference: float, threshold: float, temperature: float) -> None:
        chance, bits = entropy(difference, temperature)
        assume(abs(bits - threshold) > 1e-5)
        expected = AMBIGUOUS if bits >= threshold else EASY if chance < 0.5 else HARD
        config = EgnsConfig(entropy_threshold=threshold, temperature=temperature, **MARKED)
        found = egns_weights(torch.zeros(1, 1), torch.tensor([[difference]]), config)
        assert float(found) == expected

    def test_on_rows_of_random_scores(self) -> None:
        config = EgnsConfig(**MARKED)
        positive, negatives = draw(6, 1, seed=1), draw(6, 50)
        found = egns_weights(positive, negatives, config).tolist()
        for row, column in itertools.product(range(6), range(50)):
            chance, nats = entropy(float(negatives[row, column] - positive[row, 0]), 1.0)
            by_entropy = EASY if chance < 0.5 else HARD
            if nats >= config.entropy_threshold:
                by_entropy = AMBIGUOUS
            assert found[row][column] == by_entropy

    @pytest.mark.parametrize("threshold", [0.01, 0.35, 0.69])
    def test_the_margin_has_the_entropy_of_the_threshold(self, threshold: float) -> None:
        assert entropy(ambiguous_margin(threshold), 1.0)[1] == pytest.approx(threshold, abs=1e-9)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
class TestWeights:
    """What holds of every way of weighing."""

    @pytest.mark.parametrize("scale", [0.1, 3.0, 1e4])
    def test_mean_1_over_what_is_negative_and_0_elsewhere(
        self, weighting: str, scale: float
    ) -> None:
        masked = draw(8, 40, seed=2) > 2
        negatives = draw(8, 40, scale=scale).masked_fill(masked, -torch.inf)
        found = weights(draw(8, 1, seed=1), negatives, negatives_config(weighting=weighting))
        assert not found[masked].any()
        assert bool((found >= 0).all())
        torch.testing.assert_close(found.sum(1), (~masked).sum(1).float(), rtol=1e-4, atol=1e-4)

    def test_without_gradient(self, weighting: str) -> None:
        positive, negatives = draw(3, 1).requires_grad_(), draw(3, 5, seed=1).requires_grad_()
        found = weights(positive, negatives, negatives_config(weighting=weighting))
        assert not found.requires_grad

    def test_rows_do_not_see_each_other(self, weighting: str) -> None:
        positive, negatives = draw(4, 1), draw(4, 9, seed=1)
        config = negatives_config(weighting=weighting)
        together = weights(positive, negatives, config)
        apart = [weights(positive[[row]], negatives[[row]], config) for row in range(4)]
        torch.testing.assert_close(torch.cat(apart), together)

    def test_nothing_to_weigh(self, weighting: str) -> None:
        nothing = torch.full((2, 4), -torch.inf)
        found = weights(draw(2, 1), nothing, negatives_config(weighting=weighting))
        assert not found.any()


def test_the_informative_weigh_what_the_config_says() -> None:
    config = negatives_config(weighting="egns", egns=MARKED)
    found = weights(torch.zeros(1, 1), torch.tensor([[-9.0, 0.0, 9.0]]), config)[0]
    mean = (EASY + AMBIGUOUS + HARD) / 3
    torch.testing.assert_close(found, torch.tensor([EASY, AMBIGUOUS, HARD]) / mean)


def test_self_adversarial_weights_are_a_softmax() -> None:
    negatives = draw(3, 7)
    found = weights(draw(3, 1), negatives, negatives_config(weighting="self_adversarial"))
    torch.testing.assert_close(found, 7 * negatives.softmax(1))


@pytest.mark.parametrize("mode", MODES)
class TestLosses:
    """What holds of the sampled and of the 1-vs-all loss."""

    def case(self, scale: float = 3.0) -> tuple[Tensor, Tensor]:
        """Return scores, positives first, and which negatives are known to be true."""
        return draw(16, 31, scale=scale), draw(16, 30, seed=5) > 3

    def test_plain(self, mode: str) -> None:
        scores, masked = self.case()
        found = loss_of(mode, scores, masked, masking(weighting="none"))
        expected = plain_loss(mode, scores, masked)
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-6)

    @pytest.mark.parametrize("flat", [1.0, 2.5])
    def test_equal_weights_are_the_plain_loss_exactly(self, mode: str, flat: float) -> None:
        scores, masked = self.case()
        plain = loss_of(mode, scores, masked, masking(weighting="none"))
        egns = masking(weighting="egns", egns=dict.fromkeys(FLAT, flat))
        assert torch.equal(loss_of(mode, scores, masked, egns), plain)

    def test_equal_weights_give_the_plain_gradient_exactly(self, mode: str) -> None:
        gradients = []
        for config in (
            masking(weighting="none"),
            masking(weighting="egns", egns=FLAT),
        ):
            scores, masked = self.case()
            scores.requires_grad_()
            loss_of(mode, scores, masked, config).sum().backward()
            gradients.append(scores.grad)
        assert torch.equal(*gradients)

    def test_a_weight_is_a_number_of_copies(self, mode: str) -> None:
        """Weights 1 and 3 on 2 negatives: the plain loss of 1 and 3 copies, mean weight 1."""
        scores = torch.tensor([[0.5, -9.0, 0.3]])
        egns = {"easy_weight": 1.0, "ambiguous_weight": 3.0, "hard_weight": 1.0}
        found = loss_of(
            mode,
            scores,
            torch.zeros(1, 2, dtype=torch.bool),
            masking(weighting="egns", egns=egns),
        )
        easy, ambiguous = 0.5, 1.5
        if mode == "all":
            total = math.exp(0.5) + easy * math.exp(-9) + ambiguous * math.exp(0.3)
            expected = -0.5 + math.log(total)
        else:
            terms = easy * math.log1p(math.exp(-9)) + ambiguous * math.log1p(math.exp(0.3))
            expected = math.log1p(math.exp(-0.5)) + terms / 2
        assert float(found) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("weighting", WEIGHTINGS)
    def test_known_triples_change_nothing(self, mode: str, weighting: str) -> None:
        scores, masked = self.case()
        config = masking(weighting=weighting)
        shouting = torch.where(F.pad(masked, (1, 0)), torch.tensor(50.0), scores).requires_grad_()
        loss = loss_of(mode, shouting, masked, config)
        assert torch.equal(loss, loss_of(mode, scores, masked, config))
        loss.sum().backward()
        assert shouting.grad is not None
        assert not shouting.grad[:, 1:][masked].any()

    @pytest.mark.parametrize("weighting", WEIGHTINGS)
    @pytest.mark.parametrize("scale", [1e-3, 1e4])
    def test_extreme_scores_stay_finite(self, mode: str, weighting: str, scale: float) -> None:
        scores, masked = self.case(scale)
        scores.requires_grad_()
        loss = loss_of(mode, scores, masked, masking(weighting=weighting))
        loss.sum().backward()
        assert scores.grad is not None
        assert bool(loss.isfinite().all())
        assert bool(scores.grad.isfinite().all())

    @pytest.mark.parametrize("weighting", WEIGHTINGS)
    def test_all_negatives_known(self, mode: str, weighting: str) -> None:
        scores = draw(3, 6).requires_grad_()
        masked = torch.zeros(3, 5, dtype=torch.bool)
        masked[1] = True
        loss = loss_of(mode, scores, masked, masking(weighting=weighting))
        loss.sum().backward()
        expected = 0.0 if mode == "all" else F.softplus(-scores[1, 0]).item()
        assert loss[1].item() == pytest.approx(expected)
        assert scores.grad is not None
        assert bool(scores.grad.isfinite().all())

    @pytest.mark.parametrize("category", ["easy_weight", "ambiguous_weight", "hard_weight"])
    def test_a_category_may_weigh_nothing(self, mode: str, category: str) -> None:
        difference = {"easy_weight": -9.0, "ambiguous_weight": 0.0, "hard_weight": 9.0}
        others = [d for name, d in difference.items() if name != category]
        egns = masking(weighting="egns", egns={**FLAT, category: 0.0})
        losses = []
        for left_out in (difference[category], difference[category] * 1.1):
            scores = torch.tensor([[0.0, left_out, *others]], requires_grad=True)
            loss = loss_of(mode, scores, torch.zeros(1, 3, dtype=torch.bool), egns)
            loss.sum().backward()
            assert scores.grad is not None
            assert float(scores.grad[0, 1]) == 0.0
            assert bool(scores.grad.isfinite().all())
            losses.append(float(loss.detach()))
        assert losses[0] == losses[1]

    def test_a_row_of_nothing_but_a_category_that_weighs_nothing(self, mode: str) -> None:
        egns = masking(weighting="egns", egns={**FLAT, "easy_weight": 0.0})
        scores = torch.tensor([[9.0, -9.0, -8.0]], requires_grad=True)
        loss = loss_of(mode, scores, torch.zeros(1, 2, dtype=torch.bool), egns)
        loss.sum().backward()
        assert scores.grad is not None
        assert bool(loss.isfinite().all())
        assert bool(scores.grad.isfinite().all())

    def test_self_adversarial_minds_the_likely_most(self, mode: str) -> None:
        scores, masked = self.case()
        plain = loss_of(mode, scores, masked, masking(weighting="none"))
        minding = loss_of(mode, scores, masked, masking(weighting="self_adversarial"))
        assert bool((minding >= plain).all())

    def test_gradients_are_the_derivatives_at_fixed_weights(self, mode: str) -> None:
        scores = torch.tensor([[0.4, -7.0, 0.2, 6.0]], dtype=torch.double, requires_grad=True)
        masked = torch.zeros(1, 3, dtype=torch.bool)
        config = masking(weighting="egns")
        assert torch.autograd.gradcheck(lambda s: loss_of(mode, s, masked, config), scores)


class TestKnownWeight:
    """Other true answers of the training triples that compete after all."""

    def case(self) -> tuple[Tensor, Tensor]:
        """Return scores, positives first, and which of the others are known to be true."""
        return draw(16, 31).double(), draw(16, 30, seed=5) > 1

    def test_of_1_without_other_weights_is_the_cross_entropy_over_all(self) -> None:
        scores, masked = self.case()
        found = loss_of("all", scores, masked, negatives_config(weighting="none", known_weight=1))
        torch.testing.assert_close(found, -scores.log_softmax(1)[:, 0])

    @pytest.mark.parametrize("weighting", WEIGHTINGS)
    def test_is_the_weight_of_their_terms_alone(self, weighting: str) -> None:
        scores, masked = self.case()
        config = negatives_config(weighting=weighting, known_weight=0.3)
        others = weights(scores[:, :1], scores[:, 1:].masked_fill(masked, -torch.inf), config)
        relative = torch.where(masked, 0.3, others)
        total = scores[:, 0].exp() + (relative * scores[:, 1:].exp()).sum(1)
        torch.testing.assert_close(
            loss_of("all", scores, masked, config), total.log() - scores[:, 0]
        )

    def test_gradients_are_the_derivatives(self) -> None:
        scores, masked = self.case()
        config = negatives_config(weighting="none", known_weight=0.3)
        scores.requires_grad_()
        assert torch.autograd.gradcheck(lambda s: loss_of("all", s, masked, config), scores)

    def test_a_known_answer_far_above_stays_finite(self) -> None:
        scores = torch.tensor([[-1e4, 1e4, 0.0]], requires_grad=True)
        masked = torch.tensor([[True, False]])
        loss = loss_of("all", scores, masked, negatives_config(known_weight=0.5))
        loss.sum().backward()
        assert scores.grad is not None
        assert bool(loss.isfinite().all())
        assert bool(scores.grad.isfinite().all())


@pytest.mark.parametrize("known_weight", [0.0, 0.3, 1.0])
class TestSeveralAnswers:
    """Answers to one question, scored together."""

    ANSWERS = torch.tensor([[0, 0, 0, 1, 3, 3], [2, 0, 5, 4, 0, 1]])

    def case(self) -> tuple[Tensor, Tensor]:
        """Return scores and what is known: the answers, and a triple of every third column."""
        known = torch.zeros(4, 12, dtype=torch.bool)
        known[:, ::3] = True
        known[tuple(self.ANSWERS)] = True
        return draw(4, 12).double(), known.nonzero().T

    @pytest.mark.parametrize("weighting", WEIGHTINGS)
    def test_losses_are_those_of_each_with_the_weights_of_their_mean(
        self, weighting: str, known_weight: float
    ) -> None:
        scores, known = self.case()
        config = negatives_config(weighting=weighting, known_weight=known_weight)
        expected = torch.zeros(4, dtype=torch.double)
        for question, answer in self.ANSWERS.T.tolist():
            answers = self.ANSWERS[1][self.ANSWERS[0] == question]
            of_known = known[1][known[0] == question]
            negatives = scores[[question]].clone()
            negatives[0, of_known] = -torch.inf
            relative = weights(scores[question, answers].mean().view(1, 1), negatives, config)[0]
            relative[of_known] = known_weight
            relative[answer] = 1.0
            total = (relative * scores[question].exp()).sum()
            expected[question] += total.log() - scores[question, answer]
        found = one_vs_all_loss(scores, self.ANSWERS, known, config)
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("weighting", ["none", "egns"])  # the third's change with the scores
    def test_gradients_are_the_derivatives_at_fixed_weights(
        self, weighting: str, known_weight: float
    ) -> None:
        scores, known = self.case()
        config = negatives_config(weighting=weighting, known_weight=known_weight)
        scores.requires_grad_()
        assert torch.autograd.gradcheck(
            lambda s: one_vs_all_loss(s, self.ANSWERS, known, config), scores
        )

    def test_alone_and_together_are_the_same_without_weights(self, known_weight: float) -> None:
        scores, known = self.case()
        config = negatives_config(weighting="none", known_weight=known_weight)
        together = one_vs_all_loss(scores, self.ANSWERS, known, config).sum()
        alone = sum(
            float(one_vs_all_loss(scores, answer.view(2, 1), known, config).sum())
            for answer in self.ANSWERS.T
        )
        assert float(together) == pytest.approx(alone)
