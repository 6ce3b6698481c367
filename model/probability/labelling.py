"""Answers of a model that completes a graph, and which of them hold.

Questions are asked as those are that complete a graph, also ones without any answer, of a model
that has not learned the triples that label them.

Shapes: n answers, F features of a triple, R relations (inverses not counted).
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model.probability.further_answers import FurtherAnswers
from model.probability.triple_probabilities import Unanswered, features_of_sides
from model.scoring.held_out import LabelledAnswers
from storage.datasets.graph import Triples
from storage.datasets.keys import is_among, pack

MOST_QUESTIONS = 4096
"""Questions that are asked, drawn at random where there are more."""
_NUM_ANSWERS = 20  # to each question, the most probable ones
_LEAST = 1e-3  # probability by a question, below which an answer adds next to nothing
_QUESTIONS_AT_ONCE = 256


@torch.no_grad()
def label_answers(unanswered: Unanswered, truths: Triples, ignored: Triples) -> LabelledAnswers:
    """Complete a graph, and compare with what came true.

    Args:
        unanswered: A model that has not learned what came true, and what was known then.
        truths: What came true. Shape: (any, 3).
        ignored: Triples that count neither as right nor as wrong. Shape: (any, 3).
    """
    found = torch.cat(list(_best_answers(unanswered, _questions(unanswered.further))))
    size = unanswered.further.num_questions // 2
    entities, questions, answers = found[:, :3].long().unbind(1)
    asks_for_heads = questions >= size
    heads = torch.where(asks_for_heads, answers, entities)
    tails = torch.where(asks_for_heads, entities, answers)
    triples = torch.stack([heads, questions % size, tails], dim=1).cpu().numpy()
    keys, truth_keys, ignored_keys = (
        pack(it, unanswered.scoring.num_entities, size) for it in (triples, truths, ignored)
    )
    _, first = np.unique(keys, return_index=True)
    kept = first[~is_among(keys[first], np.unique(ignored_keys))]
    rows = torch.from_numpy(kept).to(found.device)
    asked = entities[rows], questions[rows], found[rows, 3]
    opposite = answers[rows], (questions[rows] + size) % (2 * size)
    other = unanswered.of_triples(*opposite, entities[rows])
    features = features_of_sides(unanswered.side(*asked), unanswered.side(*opposite, other))
    holds = torch.from_numpy(is_among(keys[kept], np.unique(truth_keys))).to(found.device)
    return LabelledAnswers(features, questions[rows] % size, holds)


def _questions(further: FurtherAnswers) -> Tensor:
    """Return the questions that are worth asking, or some drawn at random. Shape: (any, 2)."""
    asked = [
        torch.stack([torch.full_like(entities, question), entities], dim=1)
        for question in range(further.num_questions)
        for entities in [further.worth_asking(question)]
    ]
    everything = torch.cat(asked)
    if len(everything) <= MOST_QUESTIONS:
        return everything
    drawn = torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))
    return everything[drawn[:MOST_QUESTIONS].sort().values]


def _best_answers(unanswered: Unanswered, asked: Tensor) -> Iterator[Tensor]:
    """Yield entity, question, answer and probability by that question. Shape: (any, 4) each."""
    scoring = unanswered.scoring
    asked = asked.to(scoring.block_weights.device)
    yield torch.empty(0, 4, dtype=torch.double, device=asked.device)
    for chunk in asked.split(_QUESTIONS_AT_ONCE):
        questions, entities = chunk.unbind(1)
        rows = unanswered.by_question(entities, questions, scoring.scores(entities, questions))
        top = rows.topk(min(_NUM_ANSWERS, rows.shape[1]))
        places, columns = torch.nonzero(top.values >= _LEAST, as_tuple=True)
        row = (entities[places], questions[places], top.indices[places, columns])
        yield torch.stack([*row, top.values[places, columns]], dim=1).double()
