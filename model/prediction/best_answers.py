"""The best answers to many questions at once.

Every question is scored for its likely answers, and what each block adds to the score of an answer
is read off the same scores. By both of its questions a likely answer is then as probable as where a
graph is completed (`model.prediction.both_questions`).

Shapes: S questions of one relation each, B of them in a chunk, E entities, R relations (inverses
not counted), K answers to each, n answers in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce

import torch
from torch import Tensor

from model.inputs import KnownTails
from model.prediction.both_questions import by_both_questions
from model.prediction.evidence import in_proportion
from model.prediction.questions import AnswerLimits, QuestionRow
from model.probability.limited_sums import at_most_one_each
from model.probability.triple_probabilities import (
    WORTH_A_LOOK,
    Unanswered,
    features_of_sides,
)
from storage.datasets.graph import Graph

_NUMBERS_AT_ONCE = 2**24  # scores of all blocks in memory
_MOST_AT_ONCE = 512  # questions
_FEWEST_CONSIDERED = 50
"""New answers to a question that are looked at, whatever k is."""


@dataclass(frozen=True)
class FoundAnswers:
    """Answers to some questions: those to a question together, the most probable first.

    Attributes:
        questions: Which question each answers, ascending. Shape: (n,).
        entities: The entity that the question names. Shape: (n,).
        relations: What was asked for, plus R for heads. Shape: (n,).
        answers: The entity that answers. Shape: (n,).
        probabilities: How probably each holds; of known ones, the dataset's confidence. Shape:
            (n,), float64.
        known: Whether the triple stands in the graph. Shape: (n,), bool.
        scores: Of the model; known answers are in their order. Shape: (n,), float64.
        shares: Of `model.prediction.evidence.block_shares`. Shape: (n, num_blocks).
    """

    questions: Tensor
    entities: Tensor
    relations: Tensor
    answers: Tensor
    probabilities: Tensor
    known: Tensor
    scores: Tensor
    shares: Tensor

    def __getitem__(self, rows: Tensor) -> "FoundAnswers":
        """Return some of the answers."""
        return FoundAnswers(*(getattr(self, field.name)[rows] for field in fields(self)))

    def triples(self, num_relations: int) -> Tensor:
        """Return head, relation and tail of each. Shape: (n, 3)."""
        asks_for_heads = self.relations >= num_relations
        heads = torch.where(asks_for_heads, self.answers, self.entities)
        tails = torch.where(asks_for_heads, self.entities, self.answers)
        return torch.stack([heads, self.relations % num_relations, tails], dim=1)

    @staticmethod
    def together(parts: Sequence["FoundAnswers"]) -> "FoundAnswers":
        """Put the answers of several chunks together."""
        names = [field.name for field in fields(FoundAnswers)]
        return FoundAnswers(*(torch.cat([getattr(it, name) for it in parts]) for name in names))


@torch.inference_mode()
def best_answers(
    unanswered: Unanswered,
    graph: Graph,
    questions: Sequence[QuestionRow],
    known: KnownTails,
    limits: AnswerLimits,
) -> FoundAnswers:
    """Find the most probable answers to each of some questions, the known ones before them.

    Args:
        unanswered: The model, and what may be asked of it.
        graph: Tells how confident the dataset is of known answers.
        questions: What is asked. Answers for several relations are ranked together.
        known: The triples that stand in the graph, both ways.
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
    numbers = len(unanswered.scoring.blocks) * unanswered.scoring.num_entities
    chunks = by_relation.split(max(1, min(_MOST_AT_ONCE, _NUMBERS_AT_ONCE // numbers)))
    found = FoundAnswers.together([_of_chunk(unanswered, it, known, limits) for it in chunks])
    found = _with_confidences(_with_both_questions(found, unanswered), graph)
    return _wanted(found, graph.num_relations, limits)


def _of_chunk(
    unanswered: Unanswered, asked: Tensor, known: KnownTails, limits: AnswerLimits
) -> FoundAnswers:
    """Return what may be wanted for each row of question, entity and relation. Shape: (B, 3).

    The probability of each is that by this side's question alone.
    """
    scoring = unanswered.scoring
    _, entities, relations = asked.unbind(1)
    by_block = list(scoring.weighted_scores(entities, relations))
    total = reduce(torch.add, by_block)
    by_question = unanswered.by_question(entities, relations, total.clone())
    top = by_question.topk(min(max(2 * limits.k, _FEWEST_CONSIDERED), scoring.num_entities))
    rows, places = torch.nonzero(top.values > 0, as_tuple=True)
    answers = top.indices[rows, places]
    is_known = torch.zeros(len(rows), dtype=torch.bool)
    if not limits.new:
        known_rows, known_answers = known.lookup(entities, relations)
        rows, answers = torch.cat([rows, known_rows]), torch.cat([answers, known_answers])
        is_known = torch.cat([is_known, torch.ones(len(known_rows), dtype=torch.bool)])
    added = [scores[rows, answers] - scores.mean(1)[rows] for scores in by_block]
    numbers, entities, relations = asked[rows].unbind(1)
    return FoundAnswers(
        numbers,
        entities,
        relations,
        answers,
        by_question[rows, answers],
        is_known,
        total[rows, answers].double(),
        in_proportion(torch.stack(added, dim=1)),
    )


def _with_both_questions(found: FoundAnswers, unanswered: Unanswered) -> FoundAnswers:
    """Let new answers be as probable as both questions tell, and sum to what is allowed.

    Where the question asked makes an answer improbable (`WORTH_A_LOOK`), the other one is not
    scored, as most of the time would go into that, and counts as saying the same.
    """
    further = unanswered.further
    probabilities = found.probabilities.clone()
    new = (~found.known).nonzero()[:, 0]
    probabilities[new] = _by_one_question(found[new], unanswered)
    triples = found.triples(further.num_questions // 2)
    likely = new[found.probabilities[new] >= WORTH_A_LOOK]
    for relation in triples[likely, 1].unique().tolist():
        rows = likely[triples[likely, 1] == relation]
        by_both, pairs = by_both_questions(unanswered, relation, triples[rows][:, [0, 2]])
        probabilities[rows] = by_both[_places_of(triples[rows][:, [0, 2]], pairs)]
    asked = torch.stack([found.questions[new], found.relations[new]], dim=1)
    single = torch.from_numpy(further.is_single)[found.relations[new]]
    probabilities[new] = at_most_one_each(probabilities[new], asked, single)
    return replace(found, probabilities=probabilities)


def _by_one_question(found: FoundAnswers, unanswered: Unanswered) -> Tensor:
    """Return the probabilities of answers if both questions say what the one asked says. (n,)."""
    side = unanswered.side(found.entities, found.relations, found.probabilities)
    relations = found.relations % (unanswered.further.num_questions // 2)
    lines = unanswered.scoring.calibration.lines
    return lines.log_odds(features_of_sides(side, side), relations).sigmoid()


def _places_of(pairs: Tensor, all_pairs: Tensor) -> Tensor:
    """Return where pairs are among distinct ones in ascending order. Shapes: (n, 2) -> (n,)."""
    size = int(all_pairs.max()) + 1
    keys, all_keys = (it[:, 0] * size + it[:, 1] for it in (pairs, all_pairs))
    return torch.searchsorted(all_keys, keys)


def _with_confidences(found: FoundAnswers, graph: Graph) -> FoundAnswers:
    """Let known answers be as probable as the dataset says."""
    known = found.known.nonzero()[:, 0]
    probabilities = found.probabilities.clone()
    stated = torch.from_numpy(graph.confidence(found[known].triples(graph.num_relations).numpy()))
    probabilities[known] = stated.double()
    return replace(found, probabilities=probabilities)


def _wanted(found: FoundAnswers, num_relations: int, limits: AnswerLimits) -> FoundAnswers:
    """Return the k best answers to each question within the limits: known ones, then the rest."""
    order = torch.arange(len(found.answers))
    for column, descending in (
        (found.scores, True),
        (found.probabilities, True),
        (found.known, True),
        (found.questions, False),
    ):
        order = order[column[order].argsort(descending=descending, stable=True)]
    found = found[order]
    is_wanted = found.probabilities >= limits.min_probability
    if limits.per_head is not None:
        is_wanted &= _place_of_head(found, num_relations) < limits.per_head
    found = found[is_wanted.nonzero()[:, 0]]
    return found[(_places(found.questions) < limits.k).nonzero()[:, 0]]


def _place_of_head(found: FoundAnswers, num_relations: int) -> Tensor:
    """Return how many better triples of the same question have the same head and relation. (n,)."""
    heads = found.triples(num_relations)[:, 0]
    groups = torch.stack([found.questions, found.relations, heads], dim=1)
    groups = groups.unique(dim=0, return_inverse=True)[1]
    order = groups.argsort(stable=True)
    places = torch.empty_like(groups)
    places[order] = _places(groups[order])
    return places


def _places(sorted_groups: Tensor) -> Tensor:
    """Return each one's place in its group, from 0. Shape: (n,)."""
    first = torch.searchsorted(sorted_groups, sorted_groups)
    return torch.arange(len(sorted_groups)) - first
