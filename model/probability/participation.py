"""Which entities take part in which relations, by what else they take part in and their kinds.

One logistic regression for every relation and side, all fitted together. What an entity's own part
in a relation says of that part is left out.

Shapes: E entities, R relations (inverses not counted), F features: 2R and the kinds.
"""

from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from model.inputs import with_inverses
from storage.datasets.graph import Graph, Triples

MOST_KINDS = 512
"""The most frequent kinds count as features; others are too rare to tell much."""
_PRIOR_STRENGTH = 1.0
_MOST_ENTITIES = 20_000  # that the regressions are fitted on
_MAX_STEPS = 100
_TOLERANCE = 1e-4  # nats, of the summed likelihood


def count_answers(triples: Triples, num_entities: int, num_relations: int) -> sparse.csr_array:
    """Count the known answers to every question.

    Args:
        triples: Distinct triples. Shape: (n, 3).
        num_entities: E.
        num_relations: R.

    Returns:
        Entry (e, r): answers to (e, r, ?), or to (?, r - R, e) for r >= R. Shape: (E, 2R).
    """
    heads, questions, _ = with_inverses(triples, num_relations).T
    ones = np.ones(len(heads), dtype=np.int64)
    shape = (num_entities, 2 * num_relations)
    return sparse.coo_array((ones, (heads, questions)), shape=shape).tocsr()


def kind_features(graph: Graph) -> sparse.csr_array:
    """Return which entity is of which of the most frequent kinds. Shape: (E, any), of 0 and 1."""
    counts = Counter(kind for kinds in graph.kinds for kind in kinds)
    columns = {kind: column for column, (kind, _) in enumerate(counts.most_common(MOST_KINDS))}
    entries = [
        (row, columns[kind])
        for row, kinds in enumerate(graph.kinds)
        for kind in dict.fromkeys(kinds)
        if kind in columns
    ]
    rows, places = np.array(entries, dtype=np.int64).reshape(-1, 2).T
    shape = (graph.num_entities, len(columns))
    return sparse.coo_array((np.ones(len(rows)), (rows, places)), shape=shape).tocsr()


def features_of(num_answers: sparse.csr_array, kinds: sparse.csr_array) -> sparse.csr_array:
    """Return what participation is told by: part in relations, and kinds. Shape: (E, F)."""
    takes_part = num_answers.copy().astype(np.float32)
    takes_part.data[:] = 1
    return sparse.hstack([takes_part, kinds.astype(np.float32)], format="csr")


def fit_participation(features: sparse.csr_array, num_questions: int) -> Tensor:
    """Fit the regressions.

    Args:
        features: Of `features_of`. Shape: (E, F).
        num_questions: 2R, the first features, which are told.

    Returns:
        Weights, and intercepts in the last row. Shape: (F + 1, 2R), float32.
    """
    sample = _sample(features)
    rows = torch.from_numpy(sample.toarray())
    told = rows[:, :num_questions]
    weights = torch.zeros(rows.shape[1] + 1, num_questions, requires_grad=True)
    is_free = torch.ones_like(weights)
    is_free.fill_diagonal_(0)
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=_MAX_STEPS,
        tolerance_change=_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        free = weights * is_free
        logits = rows @ free[:-1] + free[-1]
        loss = F.binary_cross_entropy_with_logits(logits, told, reduction="sum")
        loss = loss + _PRIOR_STRENGTH / 2 * free[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return (weights * is_free).detach()


def _sample(features: sparse.csr_array) -> sparse.csr_array:
    """Return the rows of some entities, the same ones always."""
    num_entities = features.shape[0]
    if num_entities <= _MOST_ENTITIES:
        return features
    chosen = np.random.default_rng(0).choice(num_entities, _MOST_ENTITIES, replace=False)
    return features[np.sort(chosen)]


def participation_odds(
    features: sparse.csr_array, weights: NDArray[np.float32], questions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the odds that entities take part in relations.

    Args:
        features: Of one entity a row. Shape: (n, F).
        weights: Of `fit_participation`. Shape: (F + 1, 2R).
        questions: What each entity is asked. Shape: (n,).

    Returns:
        Shape (n,).
    """
    logits = features.multiply(weights[:-1].T[questions]).sum(1) + weights[-1, questions]
    return np.exp(np.minimum(np.asarray(logits, dtype=np.float64), 30.0))
