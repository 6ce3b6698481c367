"""The probability that a triple holds: that its question has a further answer, and it is this one.

A model's scores say, of the answers that a question may yet have, which it is. A triple answers two
questions, one for its tail and one for its head. Both make its features: the log-odds by the
likelier and by the less likely question, each once more beyond a bend, as log-odds that are large
by both are too small on a line; and the log-odds of its share among the answers to each, as a clear
first answer is likely also where a further answer is not. Weights of each relation, fitted to what
came true, turn features into log-odds (see `model.probability.calibration`).

Shapes: B questions of a chunk, n triples, E entities, R relations (inverses not counted).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.inputs import KnownTails, with_inverses
from model.probability.further_answers import WORTH_ASKING, FurtherAnswers, known_triples
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Graph
from storage.datasets.relation_types.relation_type import RelationType, is_single

LEAST = 1e-6
"""Probability, by one question, below which triples are not told apart."""
CONTRADICTING = 1e-9
"""Largest probability, by one question, of what contradicts what is known."""
WORTH_A_LOOK = 0.01
"""Probability by one question, from which on the question for the other end is scored."""
_NUMBERS_AT_ONCE = 2**20  # scores
_FIRST_BEND, _SECOND_BEND = 0.0, -2.0  # log-odds by the likelier question, and by the other


class _Possible(NamedTuple):
    """What may answer some questions.

    Attributes:
        logits: -inf for what is no new answer. Shape: (n, any).
        closed: Which contradict a known answer. Shape: (n, any).
        total: Logarithm of the summed exponentials of those that do not. Shape: (n, 1).
        of_all: The same of all. Shape: (n, 1).
    """

    logits: Tensor
    closed: Tensor
    total: Tensor
    of_all: Tensor

    def of(self, rows: Tensor, answers: Tensor) -> "_Possible":
        """Return one answer to a question each. Shape: (n, 1)."""
        logits, closed = (it[rows, answers][:, None] for it in (self.logits, self.closed))
        return _Possible(logits, closed, self.total[rows], self.of_all[rows])


@dataclass(frozen=True)
class Unanswered:
    """What may be asked of a model.

    Attributes:
        scoring: The model.
        further: What is to be expected of every question.
        excluded: Triples that are no new answers, both ways: known, or known to be wrong.
        is_reflexive: Of which questions an entity may be its own answer. Shape: (2R,), bool.
    """

    scoring: BlockScoring
    further: FurtherAnswers
    excluded: KnownTails
    is_reflexive: Tensor

    @staticmethod
    def of(
        scoring: BlockScoring,
        graph: Graph,
        types: Sequence[RelationType],
        missing_share: float,
    ) -> "Unanswered":
        """Put together what may be asked of a model.

        Args:
            scoring: The model; its calibration tells who takes part in what.
            graph: What is known, of all splits, and what is known to be wrong.
            types: What each relation is like.
            missing_share: Share of all facts that is not known, above 0 and below 1.
        """
        device, size = scoring.block_weights.device, graph.num_relations
        participation = scoring.calibration.participation
        known = known_triples(graph)
        further = FurtherAnswers(graph, known, participation, is_single(types), missing_share)
        excluded = with_inverses(np.concatenate([known, graph.negatives]), size)
        reflexive = torch.tensor([it.reflexive is True for it in types] * 2, dtype=torch.bool)
        known_tails = KnownTails(excluded, 2 * size, device)
        return Unanswered(scoring, further, known_tails, reflexive.to(device))

    def by_question(self, entities: Tensor, questions: Tensor, scores: Tensor) -> Tensor:
        """Tell how probable each entity is as a further answer, by this side alone.

        Args:
            entities: Which are asked about. Shape: (B,).
            questions: The relation of each, plus R to ask for heads. Shape: (B,).
            scores: Of the model, of all entities. Shape: (B, E).

        Returns:
            Probabilities; 0 for what is no new answer. Those to a question sum to at most the
            number that is expected of it. Shape: (B, E), float64.
        """
        found = torch.empty(scores.shape, dtype=torch.double, device=scores.device)
        for rows in self._chunks(entities):
            sides = entities[rows], questions[rows]
            possible = self._possible(*sides, scores[rows].double())
            found[rows] = self._probabilities(
                possible, *(it[:, None] for it in self.further.of(*sides))
            )
        return found

    def of_all(self, entities: Tensor, question: int) -> Tensor:
        """Return the probabilities of all answers to one question. Shapes: (B,) -> (B, E)."""
        questions = torch.full_like(entities, question)
        return self.by_question(entities, questions, self.scoring.scores(entities, questions))

    def _chunks(self, rows: Tensor) -> Iterator[slice]:
        """Yield slices whose scores of all entities stay in a processor's cache."""
        size = max(1, _NUMBERS_AT_ONCE // self.scoring.num_entities)
        return (slice(first, first + size) for first in range(0, len(rows), size))

    @staticmethod
    def _probabilities(possible: "_Possible", chance: Tensor, number: Tensor) -> Tensor:
        """Tell how probable answers are, of a question a row. Shapes: (n, 1) -> (n, any)."""
        logits, closed, total, of_all = possible
        missed = (logits - total).exp_().nan_to_num_(0.0).neg_().clamp_min_(1e-12 - 1).log1p_()
        found = missed.mul_(number / chance).expm1_().mul_(-chance)
        if not bool(closed.any()):
            return found
        return torch.where(closed, CONTRADICTING * (logits - of_all).exp().nan_to_num(0.0), found)

    def _possible(self, entities: Tensor, questions: Tensor, scores: Tensor) -> "_Possible":
        """Leave out what is no new answer, and mark what contradicts a known one. (B, E)."""
        scores[self.excluded.lookup(entities, questions)] = -torch.inf
        own = ~self.is_reflexive[questions]
        scores[own.nonzero()[:, 0], entities[own]] = -torch.inf
        closed = torch.zeros_like(scores, dtype=torch.bool)
        for question in questions.unique().tolist():
            found = self.further.is_closed(self.further.opposite(question))
            if found is not None:
                closed[questions == question] = torch.from_numpy(found).to(scores.device)
        of_all = total = scores.logsumexp(1, keepdim=True)
        if bool(closed.any()):
            total = scores.masked_fill(closed, -torch.inf).logsumexp(1, keepdim=True)
        return _Possible(scores, closed, total, of_all)

    def of_triples(self, entities: Tensor, questions: Tensor, answers: Tensor) -> Tensor:
        """Tell how probable triples are by the question for one of their ends alone.

        Every question is scored once, however many of the triples answer it.

        Args:
            entities: Which are asked about. Shape: (n,).
            questions: The relation of each, plus R to ask for heads. Shape: (n,).
            answers: What answers them. Shape: (n,).

        Returns:
            Shape (n,), float64.
        """
        asked = torch.stack([questions, entities], dim=1)  # for which rules cost less together
        distinct, places = asked.unique(dim=0, return_inverse=True)
        found = torch.empty(len(answers), dtype=torch.double, device=answers.device)
        for chunk in self._chunks(distinct):
            relations, heads = distinct[chunk].unbind(1)
            scores = self.scoring.scores(heads, relations).double()
            here = ((places >= chunk.start) & (places < chunk.stop)).nonzero()[:, 0]
            rows = places[here] - chunk.start
            possible = self._possible(heads, relations, scores).of(rows, answers[here])
            chance, number = (it[rows, None] for it in self.further.of(heads, relations))
            found[here] = self._probabilities(possible, chance, number)[:, 0]
        return found

    def features(
        self, heads: Tensor, relations: Tensor, tails: Tensor, by_tail: Tensor, by_head: Tensor
    ) -> Tensor:
        """Return the features of triples; see `features_of_sides`.

        Args:
            heads: Shape: (n,).
            relations: Below R. Shape: (n,).
            tails: Shape: (n,).
            by_tail: Probabilities by the questions for the tails. Shape: (n,).
            by_head: Probabilities by the questions for the heads. Shape: (n,).

        Returns:
            Shape: (n, F), float64.
        """
        size = self.further.num_questions // 2
        return features_of_sides(
            self.side(heads, relations, by_tail), self.side(tails, relations + size, by_head)
        )

    def side(self, entities: Tensor, questions: Tensor, probabilities: Tensor) -> Tensor:
        """Return the log-odds of answers, and those of their shares among all answers.

        Args:
            entities: Which are asked about. Shape: (n,).
            questions: The relation of each, plus R to ask for heads. Shape: (n,).
            probabilities: Of an answer to each, by that question alone. Shape: (n,).

        Returns:
            Shape: (n, 2), float64, finite.
        """
        chance, number = self.further.of(entities, questions)
        missed = (1 - probabilities / chance).clamp(1e-12, 1)
        share = -(missed.log() * chance / number).expm1()
        share = torch.minimum(share, probabilities / WORTH_ASKING)  # else fitted to nothing
        return torch.stack([probabilities, share], dim=1).clamp(LEAST, 1 - LEAST).logit()


def features_of_sides(one: Tensor, other: Tensor) -> Tensor:
    """Return the features of triples; see the module's docstring.

    Args:
        one: Of `Unanswered.side`, of one question each. Shape: (n, 2).
        other: Of the other question. Shape: (n, 2).

    Returns:
        1, the log-odds by the likelier question and by the other, what they are beyond their
        bends, and the log-odds of the shares. Shape: (n, F), float64.
    """
    is_likelier = (one[:, 0] > other[:, 0]) | (
        (one[:, 0] == other[:, 0]) & (one[:, 1] >= other[:, 1])
    )
    likelier = torch.where(is_likelier[:, None], one, other)
    other = torch.where(is_likelier[:, None], other, one)
    (first, first_share), (second, second_share) = likelier.unbind(1), other.unbind(1)
    bent = (first - _FIRST_BEND).relu(), (second - _SECOND_BEND).relu()
    ones = torch.ones_like(first)
    return torch.stack([ones, first, second, *bent, first_share, second_share], dim=1)
