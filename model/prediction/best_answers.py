"""The best answers to many questions at once, at the price of scoring them.

Every question is scored once; what each block adds to the score of an answer is read off the same
scores, so the weights of modalities cost next to nothing.

Shapes: S questions of one relation each, B of them in a chunk, E entities, R relations (inverses
not counted), K answers to each, n answers in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from model.inputs import KnownTails
from model.prediction.evidence import in_proportion
from model.prediction.questions import AnswerLimits, QuestionRow
from model.scoring.blocks import BlockScoring

_NUMBERS_AT_ONCE = 2**24  # scores of all blocks in memory
_MOST_AT_ONCE = 512  # questions


@dataclass(frozen=True)
class FoundAnswers:
    """Answers to some questions: those to a question together, the most probable first.

    Attributes:
        questions: Which question each answers, ascending. Shape: (n,).
        entities: The entity that the question names. Shape: (n,).
        relations: What was asked for, plus R for heads. Shape: (n,).
        answers: The entity that answers. Shape: (n,).
        log_odds: How probably each holds. Shape: (n,).
        known: Whether the triple stands in the graph. Shape: (n,), bool.
        shares: Of `model.prediction.evidence.block_shares`. Shape: (n, num_blocks).
    """

    questions: Tensor
    entities: Tensor
    relations: Tensor
    answers: Tensor
    log_odds: Tensor
    known: Tensor
    shares: Tensor

    def __getitem__(self, rows: Tensor) -> "FoundAnswers":
        """Return some of the answers."""
        return FoundAnswers(*(getattr(self, field.name)[rows] for field in fields(self)))


@torch.inference_mode()
def best_answers(
    scoring: BlockScoring,
    questions: Sequence[QuestionRow],
    known: KnownTails,
    wrong: KnownTails,
    limits: AnswerLimits,
) -> FoundAnswers:
    """Find the most probable answers to each of some questions.

    Where only new triples are wanted, those of an entity with itself are left out, too.

    Args:
        scoring: The model.
        questions: What is asked. Answers for several relations are ranked together.
        known: The triples that stand in the graph, both ways.
        wrong: Triples that are no answers, both ways.
        limits: Which answers are wanted.
    """
    asked = torch.tensor(
        [
            (number, question.entity, relation)
            for number, question in enumerate(questions)
            for relation in question.relations
        ],
        dtype=torch.long,
    ).reshape(-1, 3)
    by_relation = asked[asked[:, 2].argsort(stable=True)]  # for which rules cost less together
    numbers = len(scoring.blocks) * scoring.num_entities
    chunks = by_relation.split(max(1, min(_MOST_AT_ONCE, _NUMBERS_AT_ONCE // numbers)))
    parts = [_best_of_chunk(scoring, chunk, known, wrong, limits) for chunk in chunks]
    columns = (torch.cat([getattr(it, field.name) for it in parts]) for field in fields(parts[0]))
    return _best_of_each(FoundAnswers(*columns), limits.k)


def _best_of_chunk(
    scoring: BlockScoring,
    asked: Tensor,
    known: KnownTails,
    wrong: KnownTails,
    limits: AnswerLimits,
) -> FoundAnswers:
    """Return the best answers for each row of question, entity and relation. Shape: (B, 3)."""
    _, entities, relations = asked.unbind(1)
    by_block = list(scoring.weighted_scores(entities, relations))
    total = sum(by_block, start=torch.zeros(()))
    odds = scoring.calibrated_log_odds(total.log_softmax(1), relations)
    odds[wrong.lookup(entities, relations)] = -torch.inf
    is_known = known.among_all(entities, relations, scoring.num_entities)
    if limits.new:
        odds[is_known] = -torch.inf
        odds[torch.arange(len(asked)), entities] = -torch.inf
    top = odds.topk(min(limits.k, scoring.num_entities))
    rows, places = torch.nonzero(_is_wanted(top.values, relations, scoring, limits), as_tuple=True)
    answers = top.indices[rows, places]
    added = [scores[rows, answers] - scores.mean(1)[rows] for scores in by_block]
    numbers, entities, relations = asked[rows].unbind(1)
    return FoundAnswers(
        numbers,
        entities,
        relations,
        answers,
        top.values[rows, places],
        is_known[rows, answers],
        in_proportion(torch.stack(added, dim=1)),
    )


def _is_wanted(
    odds: Tensor, relations: Tensor, scoring: BlockScoring, limits: AnswerLimits
) -> Tensor:
    """Whether answers are allowed by the limits, each row's the best first. Shape: (B, K)."""
    wanted = (odds > -torch.inf) & (odds.sigmoid().double() >= limits.min_probability)
    if limits.per_head is not None:
        asks_for_tails = (relations < scoring.num_relations)[:, None]
        wanted &= ~asks_for_tails | (torch.arange(odds.shape[1]) < limits.per_head)
    return wanted


def _best_of_each(found: FoundAnswers, k: int) -> FoundAnswers:
    """Return the k most probable answers to each question."""
    by_probability = found.log_odds.argsort(descending=True, stable=True)
    order = by_probability[found.questions[by_probability].argsort(stable=True)]
    questions = found.questions[order]
    place = torch.arange(len(order)) - torch.searchsorted(questions, questions)
    return found[order[place < k]]
