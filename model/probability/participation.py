"""Which entities take part in which relations, by what else they take part in and their kinds.

Entities are taken to be of a few latent classes: things of one class take part in the same
relations, each with a chance of its own and independently of the others, as facts are missing at
random. The classes are found by maximum likelihood, in expectation-maximisation (latent class
analysis: Goodman, "Exploratory Latent Structure Analysis", Biometrika 1974), their number by
Akaike's criterion. What an entity's own part in a relation says of that part is left out.

Shapes: E entities, R relations (inverses not counted), F features: 2R and the kinds, K classes.
"""

from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from model.inputs import with_inverses
from storage.datasets.graph import Graph, Triples

MOST_KINDS = 512
"""The most frequent kinds count as features; others are too rare to tell much."""
_MOST_CLASSES = 64
_MOST_ENTITIES = 20_000  # that classes are fitted on
_STEPS = 60
_PRIOR_STRENGTH = 0.3  # pseudo-count that ties a class's chances to those of all entities
_SMALLEST = 1e-5  # chance

FloatArray = NDArray[np.float64]


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


def fit_participation(features: sparse.csr_array) -> Tensor:
    """Find the classes of entities.

    Args:
        features: Of `features_of`. Shape: (E, F).

    Returns:
        A row for each class: the chance of each feature, and the class's share of all entities.
        Shape: (K, F + 1), float32.
    """
    rows, counts = np.unique(_sample(features).toarray(), axis=0, return_counts=True)
    rows = rows.astype(np.float64)
    best, least = _classes(rows, counts, 1)
    number = 2
    while number <= min(_MOST_CLASSES, len(rows)):
        found, criterion = _classes(rows, counts, number)
        if criterion >= least:
            break
        best, least, number = found, criterion, 2 * number
    return torch.from_numpy(best.astype(np.float32))


def _sample(features: sparse.csr_array) -> sparse.csr_array:
    """Return the rows of some entities, the same ones always."""
    num_entities = features.shape[0]
    if num_entities <= _MOST_ENTITIES:
        return features
    chosen = np.random.default_rng(0).choice(num_entities, _MOST_ENTITIES, replace=False)
    return features[np.sort(chosen)]


def _classes(rows: FloatArray, counts: NDArray[np.int64], number: int) -> tuple[FloatArray, float]:
    """Find so many classes.

    Args:
        rows: Distinct rows of features. Shape: (n, F).
        counts: How many entities have each. Shape: (n,).
        number: K.

    Returns:
        Chances and shares, (K, F + 1), and Akaike's criterion: the smaller, the better.
    """
    mean = np.average(rows, axis=0, weights=counts)
    chances = np.clip(0.8 * _far_apart(rows, counts, number) + 0.1 * mean + 0.02, 0.0, 0.98)
    shares = np.full(number, 1 / number)
    for _ in range(_STEPS):
        logits = np.log(shares) + _log_likelihoods(rows, chances)
        largest = logits.max(1, keepdims=True)
        belongs = np.exp(logits - largest)
        sums = belongs.sum(1, keepdims=True)
        weights = belongs / sums * counts[:, None]
        sizes = weights.sum(0)
        shares = (sizes + 0.5) / (sizes.sum() + 0.5 * number)
        chances = weights.T @ rows + _PRIOR_STRENGTH * mean
        chances = np.clip(chances / (sizes[:, None] + _PRIOR_STRENGTH), _SMALLEST, 1 - _SMALLEST)
    fit = float((counts * (largest[:, 0] + np.log(sums[:, 0]))).sum())
    return np.column_stack([chances, shares]), 2 * chances.size - 2 * fit


def _far_apart(rows: FloatArray, counts: NDArray[np.int64], number: int) -> FloatArray:
    """Choose rows that are frequent and differ from each other, to begin with. Shape: (K, F)."""
    chosen = [int(counts.argmax())]
    distances = np.abs(rows - rows[chosen[0]]).sum(1)
    while len(chosen) < number:
        chosen.append(int((distances * np.sqrt(counts)).argmax()))
        distances = np.minimum(distances, np.abs(rows - rows[chosen[-1]]).sum(1))
    return rows[chosen]


def _log_likelihoods(rows: FloatArray | sparse.csr_array, chances: FloatArray) -> FloatArray:
    """Return the log-likelihood of rows in each class. Shapes: (n, F), (K, F) -> (n, K)."""
    absent = np.log1p(-chances)
    found: FloatArray = np.asarray(rows @ (np.log(chances) - absent).T) + absent.sum(1)
    return found


class Participation:
    """Tells how likely entities take part in relations.

    Args:
        features: Of `features_of`. Shape: (E, F).
        classes: Of `fit_participation`. Shape: (K, F + 1).
    """

    def __init__(self, features: sparse.csr_array, classes: Tensor) -> None:
        table = classes.cpu().numpy().astype(np.float64)
        self._features = features
        self._chances = np.clip(table[:, :-1], _SMALLEST, 1 - _SMALLEST)
        self._logits = np.log(table[:, -1]) + _log_likelihoods(features, self._chances)

    def chances(self, entities: NDArray[np.int64], questions: NDArray[np.int64]) -> FloatArray:
        """Return the chance that an entity is known to take part, by all else that it does.

        Args:
            entities: Shape: (B,).
            questions: The relation of each, plus R for tails of it. Shape: (B,).

        Returns:
            Shape: (B,), above 0 and below 1.
        """
        if not len(entities):  # which scipy answers with a matrix
            return np.zeros(0)
        own = self._chances[:, questions].T
        takes_part = np.asarray(self._features[entities, questions]).reshape(-1, 1) > 0
        logits = self._logits[entities] - np.log(np.where(takes_part, own, 1 - own))
        belongs = np.exp(logits - logits.max(1, keepdims=True))
        found: FloatArray = (belongs * own).sum(1) / belongs.sum(1)
        return found
