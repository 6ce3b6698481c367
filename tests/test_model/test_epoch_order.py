"""The order of an epoch: everything once, at random, the answers to a question side by side."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from model.training.epoch_order import EpochOrder

ANSWERS = (1, 1, 1, 2, 3, 4, 5, 9, 40)
"""Number of answers, by question."""


def triples() -> Tensor:
    """Return triples of as many answers: questions that share heads or relations, mixed up."""
    asked = [(number // 2, number % 2) for number in range(len(ANSWERS))]
    rows = [
        (*question, answer)
        for question, count in zip(asked, ANSWERS, strict=True)
        for answer in range(count)
    ]
    shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(5))
    return torch.tensor(rows)[shuffled]


def draw(at_once: int, seed: int = 0) -> Tensor:
    return EpochOrder(triples(), at_once).draw(torch.Generator().manual_seed(seed))


def turns(order: Tensor) -> list[tuple[tuple[int, int], int]]:
    """Return each question with the number of answers that stand side by side, in order."""
    questions = [tuple(question) for question in triples()[order, :2].tolist()]
    return [(asked, len(list(run))) for asked, run in itertools.groupby(questions)]  # type: ignore[misc]


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
class TestAny:
    def test_every_triple_once(self, at_once: int) -> None:
        assert sorted(draw(at_once).tolist()) == list(range(sum(ANSWERS)))

    def test_a_seed_is_an_order(self, at_once: int) -> None:
        assert torch.equal(draw(at_once), draw(at_once))
        assert not torch.equal(draw(at_once), draw(at_once, seed=1))

    def test_questions_of_few_answers_are_asked_once(self, at_once: int) -> None:
        asked = [question for question, _ in turns(draw(at_once))]
        few = [n for n, count in enumerate(ANSWERS) if count <= at_once]
        assert [asked.count((n // 2, n % 2)) for n in few] == [1] * len(few)

    def test_what_comes_first_is_drawn_evenly(self, at_once: int) -> None:
        """Of a question with most of the answers, the mean place is the middle."""
        is_large = triples()[:, 0] == (len(ANSWERS) - 1) // 2
        places = [is_large[draw(at_once, seed)].nonzero().float().mean() for seed in range(300)]
        middle = (sum(ANSWERS) - 1) / 2
        error = np.std(places) / len(places) ** 0.5
        assert abs(np.mean(places) - middle) < 4 * error + 1e-6


def test_no_more_than_asked_for() -> None:
    """Turns of one question may follow each other by chance, but are whole ones then."""
    for seed in range(20):
        for (head, relation), length in turns(draw(4, seed)):
            count = ANSWERS[2 * head + relation]
            assert length % 4 in {0, count % 4}
            assert length <= 4 or count > 4


def test_answers_change_their_company() -> None:
    """Which answers to a large question come together is drawn anew."""
    first = [tuple(sorted(draw(9, seed)[:9].tolist())) for seed in range(20)]
    assert len(set(first)) > 15
