"""How probable triples are, entry by entry as the definition reads."""

import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.inputs import with_inverses
from model.probability.further_answers import WORTH_ASKING
from model.probability.triple_probabilities import CONTRADICTING, LEAST, Unanswered
from model.scoring.calibration import Lines
from storage.datasets.graph import SPLITS, Graph

Side = tuple[float, float]


def known_triples(graph: Graph) -> set[tuple[int, ...]]:
    """Return the triples of all splits."""
    return {tuple(triple) for split in SPLITS for triple in graph.split(split).tolist()}


def plain_by_question(
    unanswered: Unanswered, graph: Graph, is_single: Collection[int]
) -> NDArray[np.float64]:
    """Return the probability of every answer by every question alone, of no reflexive relation.

    Args:
        unanswered: Gives the scores, and what is expected of each question.
        graph: Known triples and negatives.
        is_single: Questions of one answer at most, plus R those for heads.

    Returns:
        By question, entity, answer. Shape: (2R, E, E).
    """
    num_entities, num_questions = graph.num_entities, 2 * graph.num_relations
    known = with_inverses(np.array(sorted(known_triples(graph))), graph.num_relations)
    answered = {(entity, question) for entity, question, _ in known.tolist()}
    wrong = with_inverses(graph.negatives, graph.num_relations)
    excluded = set(map(tuple, np.concatenate([known, wrong]).tolist()))
    found = np.zeros((num_questions, num_entities, num_entities))
    for question, entity in itertools.product(range(num_questions), range(num_entities)):
        asked = torch.tensor([entity]), torch.tensor([question])
        scores = unanswered.scoring.scores(*asked)[0].tolist()
        chance, number = (float(it) for it in unanswered.further.of(*asked))
        weights = {
            answer: math.exp(scores[answer])
            for answer in range(num_entities)
            if answer != entity and (entity, question, answer) not in excluded
        }
        opposite = (question + graph.num_relations) % num_questions
        closed = {it for it in weights if opposite in is_single and (it, opposite) in answered}
        of_open = sum(weight for answer, weight in weights.items() if answer not in closed)
        for answer, weight in weights.items():
            if answer in closed:
                found[question, entity, answer] = CONTRADICTING * weight / sum(weights.values())
            else:
                missed = max(1 - weight / of_open, 1e-12) ** (number / chance)
                found[question, entity, answer] = chance * (1 - missed)
    return found


def plain_side(unanswered: Unanswered, entity: int, question: int, probability: float) -> Side:
    """Return the log-odds of an answer by one question, and those of its share."""
    asked = torch.tensor([entity]), torch.tensor([question])
    chance, number = (float(it) for it in unanswered.further.of(*asked))
    share = 1 - max(1 - probability / chance, 1e-12) ** (chance / number)
    share = min(share, probability / WORTH_ASKING)
    both = (min(max(it, LEAST), 1 - LEAST) for it in (probability, share))
    odds, of_share = (math.log(it / (1 - it)) for it in both)
    return odds, of_share


def plain_features(one: Side, other: Side) -> list[float]:
    """Return what a triple's log-odds are told by, from both questions."""
    (smaller, second_share), (larger, first_share) = sorted([one, other])
    bent = max(larger, 0.0), max(smaller + 2.0, 0.0)
    return [1.0, larger, smaller, *bent, first_share, second_share]


def plain_log_odds(features: Sequence[float], lines: Lines, relation: int) -> float:
    """Return the log-odds of a triple."""
    told = float(np.dot(features, lines.weights[relation].tolist()))
    if told <= 0:
        return told
    variance = float(np.array(features) @ lines.covariances[relation].numpy() @ features)
    return told / math.sqrt(1 + math.pi * variance / 8)
