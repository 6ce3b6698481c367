"""Questions with their answers, beside candidates that are drawn once for all of them.

A likelihood over a thousand candidates tells of that over all entities, at a fraction of the cost.

Shapes: Q questions, C candidates, E entities, R relations (inverses included), D width.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from model.inputs import KnownTails
from model.scorers import Scorer

MAX_QUESTIONS = 8192
NUM_CANDIDATES = 1024


@dataclass(frozen=True)
class CandidateSample:
    """Questions and their candidates.

    Attributes:
        questions: Triples, h and r asking for t. Shape: (Q, 3).
        candidates: Entities. Shape: (C,).
        offsets: What to add to the logits of the true answer (column 0) and the candidates: the
            correction for drawing C of E, and -inf where a candidate is known to be true, too.
            Shape: (Q, 1 + C).
    """

    questions: Tensor
    candidates: Tensor
    offsets: Tensor

    @classmethod
    def draw(cls, questions: Tensor, known: KnownTails, num_entities: int, seed: int) -> Self:
        """Draw questions, at most `MAX_QUESTIONS`, and `NUM_CANDIDATES` entities.

        Args:
            questions: Shape (any, 3).
            known: Answers that do not count as wrong; must hold the questions' own.
            num_entities: E.
            seed: Which are drawn.
        """
        device = questions.device
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(questions), generator=generator)[:MAX_QUESTIONS]
        questions = questions[chosen.to(device)]
        size = min(NUM_CANDIDATES, num_entities)
        candidates = torch.randperm(num_entities, generator=generator)[:size].to(device)
        shape = (len(questions), 1 + size)
        offsets = torch.full(shape, float(np.log(num_entities / size)), device=device)
        offsets[:, 0] = 0.0
        column = torch.full((num_entities,), -1, device=device)
        column[candidates] = torch.arange(size, device=device)
        rows, tails = known.lookup(questions[:, 0], questions[:, 1])
        drawn = column[tails]
        was_drawn = drawn >= 0
        offsets[rows[was_drawn], drawn[was_drawn] + 1] = -torch.inf
        return cls(questions, candidates, offsets)

    def of(self, chosen: Tensor) -> Self:
        """Keep the questions chosen. Shape: (Q,), bool."""
        return replace(self, questions=self.questions[chosen], offsets=self.offsets[chosen])

    def scores(self, scorer: Scorer, asked: Tensor, relations: Tensor, answers: Tensor) -> Tensor:
        """Score the true answer (column 0) and the candidates.

        Args:
            scorer: How.
            asked: Embeddings of the questions' heads. Shape: (Q, D).
            relations: Shape (R, D_r).
            answers: Embeddings of the entities as tails. Shape: (E, D).

        Returns:
            Shape (Q, 1 + C).
        """
        _, relation, tails = self.questions.unbind(1)
        query = scorer.query(asked, relations[relation])
        true_score = scorer.score_pairs(query, answers[tails].unsqueeze(1))
        return torch.cat([true_score, scorer.score_all(query, answers[self.candidates])], dim=1)
