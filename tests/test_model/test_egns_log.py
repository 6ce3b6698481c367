"""The log of negatives: their categories, how many are true in fact, and which are looked at."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import EgnsConfig
from model.encoded_block import EncodedBlock
from model.inputs import KnownTails
from model.negatives.egns_log import CATEGORIES, NUM_QUESTIONS, CategoryCounts, EgnsLog
from model.scorers import build_scorer

CPU = torch.device("cpu")
NUM_ENTITIES, NUM_RELATIONS, DIM = 30, 4, 8
NOTHING = torch.zeros(1, dtype=torch.bool)
SCORER = build_scorer("distmult", DIM)


def entropy(difference: float) -> float:
    """Entropy in nats of the coin that a negative outranks its positive."""
    chance = 1 / (1 + math.exp(-difference))
    return -sum(p * math.log(p) for p in (chance, 1 - chance) if p > 0)


def shares_of(positive: Tensor, negatives: Tensor, is_held_out: Tensor = NOTHING) -> dict[str, Any]:
    """Count once, and return the shares."""
    counts = CategoryCounts(EgnsConfig(), CPU)
    counts.add(positive, negatives, is_held_out)
    return counts.shares()


class TestCounts:
    NEGATIVES = torch.tensor([[-9.0, -8.0, 0.1, 9.0], [-9.0, 0.0, -torch.inf, -torch.inf]])

    def test_shares_and_entropy(self) -> None:
        shares = shares_of(torch.zeros(2, 1), self.NEGATIVES)
        nats = [entropy(d) for d in (-9.0, -8.0, 0.1, 9.0, -9.0, 0.0)]
        assert shares["easy"] == pytest.approx(3 / 6)
        assert shares["ambiguous"] == pytest.approx(2 / 6)
        assert shares["hard"] == pytest.approx(1 / 6)
        assert shares["entropy"] == pytest.approx(sum(nats) / 6)

    def test_held_out_positives_by_category(self) -> None:
        is_held_out = torch.tensor([[True, False, False, True], [False, True, True, False]])
        shares = shares_of(torch.zeros(2, 1), self.NEGATIVES, is_held_out)
        assert shares["easy_held_out"] == pytest.approx(1 / 3)
        assert shares["ambiguous_held_out"] == pytest.approx(1 / 2)
        assert shares["hard_held_out"] == 1.0

    def test_of_extreme_scores(self) -> None:
        shares = shares_of(torch.zeros(1, 1), torch.tensor([[-1e4, 1e4]]))
        assert (shares["easy"], shares["hard"], shares["entropy"]) == (0.5, 0.5, 0.0)

    def test_of_nothing(self) -> None:
        assert set(CategoryCounts(EgnsConfig(), CPU).shares().values()) == {None}
        shares = shares_of(torch.zeros(1, 1), torch.tensor([[-9.0]]))
        assert (shares["easy_held_out"], shares["hard_held_out"]) == (0.0, None)

    def test_all_batches_count_alike(self) -> None:
        generator = torch.Generator().manual_seed(0)
        positive = torch.randn(6, 1, generator=generator)
        negatives = torch.randn(6, 50, generator=generator) * 3
        is_held_out = torch.rand(6, 50, generator=generator) > 0.7
        parts = CategoryCounts(EgnsConfig(), CPU)
        for rows in (slice(0, 1), slice(1, 6)):
            parts.add(positive[rows], negatives[rows], is_held_out[rows])
        assert parts.shares() == pytest.approx(shares_of(positive, negatives, is_held_out))


class TestSample:
    @pytest.fixture
    def triples(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        return rng.integers([NUM_ENTITIES, NUM_RELATIONS, NUM_ENTITIES], size=(300, 3))

    @pytest.fixture
    def block(self) -> EncodedBlock:
        generator = torch.Generator().manual_seed(0)
        entities = torch.randn(NUM_ENTITIES, DIM, generator=generator)
        relations = torch.randn(NUM_RELATIONS, DIM, generator=generator)
        everyone = torch.ones(NUM_ENTITIES, 1)
        voices = (("image",), everyone, torch.ones(1, 1))
        return EncodedBlock("content", entities, relations, everyone[:, 0] > 0, SCORER, *voices)

    def log(self, triples: np.ndarray, num_steps: int) -> EgnsLog:
        """A log for which the first 200 triples are training triples."""
        known, answers = (KnownTails(part, NUM_RELATIONS, CPU) for part in (triples[:200], triples))
        return EgnsLog(known, answers, EgnsConfig(), num_steps, CPU)

    @pytest.mark.parametrize("mode", ["all", "sampled"])
    def test_is_the_definition(self, triples: np.ndarray, block: EncodedBlock, mode: str) -> None:
        questions = torch.from_numpy(triples[:200])
        drawn = None
        negatives = [range(NUM_ENTITIES)] * 200
        if mode == "sampled":
            generator = torch.Generator().manual_seed(1)
            drawn = torch.randint(NUM_ENTITIES, (200, 7), generator=generator)
            negatives = drawn.tolist()
        log = self.log(triples, num_steps=1)
        log.observe(0, block, questions, drawn)
        train, everything = ({tuple(row) for row in part.tolist()} for part in (questions, triples))
        found: dict[str, list[bool]] = {name: [] for name in CATEGORIES}
        scores = SCORER.score_all(
            block.entities[questions[:, 0]] * block.relations[questions[:, 1]], block.entities
        )
        for row, (head, relation, tail) in enumerate(questions.tolist()):
            for other in negatives[row]:
                if (head, relation, other) not in train:
                    difference = float(scores[row, other] - scores[row, tail])
                    category = "easy" if difference < 0 else "hard"
                    if entropy(difference) >= EgnsConfig().entropy_threshold:
                        category = "ambiguous"
                    found[category].append((head, relation, other) in everything)
        total = sum(map(len, found.values()))
        shares = log.read()
        for name, members in found.items():
            assert shares[f"egns_{name}"] == pytest.approx(len(members) / total)
            assert shares[f"egns_{name}_held_out"] == pytest.approx(np.mean(members))

    @pytest.mark.parametrize(("num_steps", "batch_size"), [(1, 10), (3, 400), (64, 9), (1000, 9)])
    def test_is_small_and_spread_over_steps_and_questions(
        self, triples: np.ndarray, block: EncodedBlock, num_steps: int, batch_size: int
    ) -> None:
        log = self.log(triples, num_steps)
        sizes = [len(log._chosen(torch.zeros(batch_size, 3), 1)) for _ in range(num_steps)]
        steps = [step for step in range(num_steps) if step % log._every == 0]
        looked_at = sum(sizes[step] for step in steps)
        assert min(NUM_QUESTIONS, num_steps * batch_size) <= looked_at < 1.3 * NUM_QUESTIONS + 64
        gaps = [after - before for before, after in itertools.pairwise(steps)]
        assert len(set(gaps)) <= 1
        chosen = log._chosen(torch.zeros(batch_size, 3), 1)
        assert len(set(chosen.tolist())) == len(chosen)
        assert int(chosen.max()) >= batch_size // 2 or len(chosen) == 1

    def test_many_entities_are_few_questions(self, triples: np.ndarray) -> None:
        log = self.log(triples, num_steps=1)
        assert len(log._chosen(torch.zeros(500, 3), 2**20)) == 4
