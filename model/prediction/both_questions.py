"""The probability of a triple, the same whichever of its two questions was asked.

Where a question has one answer at most, its answers that are worth a look are rivals: the sum of
all is at most 1.

Shapes: R relations (inverses not counted), B entities, n triples of one relation.
"""

import torch
from torch import Tensor

from model.probability.limited_sums import at_most_one_each
from model.probability.triple_probabilities import WORTH_A_LOOK, Unanswered

_QUESTIONS_AT_ONCE = 512


def by_both_questions(
    unanswered: Unanswered, relation: int, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the probabilities of triples of a relation, and of their rivals.

    Args:
        unanswered: The model, and what may be asked of it.
        relation: Index, below R.
        pairs: Heads and tails. Shape: (n, 2).

    Returns:
        Probabilities, float64, and the distinct pairs and their rivals, in ascending order. Shapes:
        (any,), (any, 2).
    """
    further = unanswered.further
    sides = ((relation, 0), (further.opposite(relation), 1))
    single = [(question, end) for question, end in sides if further.is_single[question]]
    rivals = [
        _rivals(unanswered, question, end, pairs[:, end].unique()) for question, end in single
    ]
    pairs = torch.cat([pairs, *rivals]).unique(dim=0)
    heads, tails = pairs.unbind(1)
    by_tail, by_head = (
        unanswered.of_triples(one, torch.full_like(one, question), other)
        for (question, _), (one, other) in zip(sides, ((heads, tails), (tails, heads)), strict=True)
    )
    relations = torch.full_like(heads, relation)
    features = unanswered.features(heads, relations, tails, by_tail, by_head)
    found = unanswered.scoring.calibration.lines.log_odds(features, relations).sigmoid()
    for _, end in single:
        found = at_most_one_each(
            found, pairs[:, end, None], torch.ones_like(heads, dtype=torch.bool)
        )
    return found, pairs


def _rivals(unanswered: Unanswered, question: int, end: int, entities: Tensor) -> Tensor:
    """Return the answers to a question that are worth a look, as heads and tails. Shape: (any, 2).

    Args:
        unanswered: The model, and what may be asked of it.
        question: Index, below 2R.
        end: 0 if the entities are heads, 1 if they are tails.
        entities: Shape: (B,).
    """
    found = [entities.new_empty(0, 2)]
    for chunk in entities.split(_QUESTIONS_AT_ONCE):
        by_question = unanswered.of_all(chunk, question)
        rows, answers = torch.nonzero(by_question >= WORTH_A_LOOK, as_tuple=True)
        pairs = torch.stack([chunk[rows], answers], dim=1)
        found.append(pairs if end == 0 else pairs.flip(1))
    return torch.cat(found)
