"""What EGNS makes of the negatives of an epoch, for its log.

A sample of the epoch's questions is sorted into the categories of `model/negatives/egns.py`, and
negatives that are valid or test triples, so in truth positives, are counted in each. Nothing of
this enters a loss. Counts stay on the device until the epoch is over, as reading one would make it
wait.

Shapes: B questions, N negatives (all E entities in 1-vs-all training).
"""

import math

import torch
from torch import Tensor

from model.config import EgnsConfig
from model.device import sent_to
from model.encoded_block import EncodedBlock
from model.inputs import KnownTails
from model.negatives.egns import ambiguous_margin

CATEGORIES = ("easy", "ambiguous", "hard")

NUM_QUESTIONS = 256
"""Questions looked at in an epoch."""

_MAX_STEPS = 64
_MAX_NEGATIVES = 2**22  # at once: 16 MiB of scores


class CategoryCounts:
    """Negatives by category.

    Args:
        config: Where the categories end.
        device: Where the scores are.
    """

    def __init__(self, config: EgnsConfig, device: torch.device) -> None:
        self._temperature = config.temperature
        self._margin = ambiguous_margin(config.entropy_threshold) * config.temperature
        self._counts = torch.zeros(2, len(CATEGORIES), dtype=torch.long, device=device)
        self._entropy = torch.zeros((), device=device)

    def add(self, positive: Tensor, negatives: Tensor, is_held_out: Tensor) -> None:
        """Count negatives.

        Args:
            positive: Scores of the positives. Shape: (B, 1).
            negatives: Scores of their negatives; -inf marks what is no negative. Shape: (B, N).
            is_held_out: Which of them are valid or test triples. Shape: (B, N), bool.
        """
        difference = negatives - positive
        is_negative = negatives > -torch.inf
        easy, hard = difference < -self._margin, difference > self._margin
        members = torch.stack([easy, ~(easy | hard), hard]) & is_negative
        held_out = (members & is_held_out).sum((1, 2))
        self._counts += torch.stack([members.sum((1, 2)), held_out])
        chance = torch.sigmoid(difference / self._temperature)
        entropy = torch.special.entr(chance) + torch.special.entr(1 - chance)
        self._entropy += (entropy * is_negative).sum()

    def shares(self) -> dict[str, float | None]:
        """Return shares of all negatives, their mean entropy in nats, and shares held out.

        `<category>_held_out` is the share of the category's negatives that are held-out positives.
        What there is nothing to count of is None.
        """
        counts, held_out = self._counts.tolist()
        total = sum(counts)
        shares = {name: _share(n, total) for name, n in zip(CATEGORIES, counts, strict=True)}
        shares["entropy"] = _share(float(self._entropy), total)
        for name, part, count in zip(CATEGORIES, held_out, counts, strict=True):
            shares[f"{name}_held_out"] = _share(part, count)
        return shares


class EgnsLog:
    """Looks at some questions of an epoch, spread over its steps.

    Args:
        known: Training triples, which are no negatives; on the CPU.
        answers: Triples of all splits; on the CPU.
        config: Where the categories end.
        num_steps: Steps of the epoch.
        device: Where the model is.
    """

    def __init__(
        self,
        known: KnownTails,
        answers: KnownTails,
        config: EgnsConfig,
        num_steps: int,
        device: torch.device,
    ) -> None:
        self._triples, self._device = (known, answers), device
        self._counts = CategoryCounts(config, device)
        self._every = max(1, math.ceil(num_steps / _MAX_STEPS))
        self._num_questions = math.ceil(NUM_QUESTIONS * self._every / max(1, num_steps))

    @torch.no_grad()
    def observe(
        self, step: int, block: EncodedBlock, questions: Tensor, drawn: Tensor | None
    ) -> None:
        """Look at some questions of a step, before it changes the weights.

        Args:
            step: Counted from 0.
            block: Whose scores to look at.
            questions: Triples, h and r asking for t; on the CPU. Shape: (B, 3).
            drawn: Their negatives, (B, N), on the CPU; None: all entities.
        """
        if step % self._every:
            return
        num_negatives = len(block.entities) if drawn is None else drawn.shape[1]
        chosen = self._chosen(questions, num_negatives)
        asked = questions[chosen]
        heads, relations, tails = self._sent(asked).unbind(1)
        query = block.scorer.query(block.entities[heads], block.relations[relations])
        positive = block.scorer.score_pairs(query, block.entities[tails.unsqueeze(1)])
        if drawn is None:
            negatives = block.scorer.score_all(query, block.entities)
            are = (it.among_all(asked[:, 0], asked[:, 1], num_negatives) for it in self._triples)
        else:
            them = drawn[chosen]
            negatives = block.scorer.score_pairs(query, block.entities[self._sent(them)])
            are = (it.contains(asked[:, :1], asked[:, 1:2], them) for it in self._triples)
        is_known, is_answer = map(self._sent, are)
        self._counts.add(positive, negatives.masked_fill(is_known, -torch.inf), is_answer)

    def _sent(self, tensor: Tensor) -> Tensor:
        return sent_to(self._device, tensor)

    def _chosen(self, questions: Tensor, num_negatives: int) -> Tensor:
        """Which questions of a step: evenly spaced, as those for tails come before the others."""
        fitting = max(1, _MAX_NEGATIVES // num_negatives)
        count = min(self._num_questions, fitting, len(questions))
        return torch.arange(count, device=questions.device) * len(questions) // max(1, count)

    def read(self) -> dict[str, float | None]:
        """Return what `CategoryCounts.shares` does, each name with `egns_` before it."""
        return {f"egns_{name}": share for name, share in self._counts.shares().items()}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
