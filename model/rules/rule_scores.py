"""Scores of answers by rules, found once for every question and kept.

Shapes: E entities, R relations (inverses included), B questions of one relation.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from model.rules.mining import Rules
from model.rules.walks import Walks

UNFOUNDED = 0.01
"""Confidence as which no rule at all counts: what is added to every confidence."""
FEW_ENTITIES = 4096
"""E up to which all questions of a relation are answered at the first one: a walk from all entities
costs little more than one from a few."""
NUMBERS_KEPT = 2**25
"""Scores in memory; with more, all are found anew."""
_NUMBERS_AT_ONCE = 2**24  # scores of all entities, while they are found
_Row = tuple[sparse.csr_array, int]  # scores of several questions, and the place of one of them


def score_of(confidences: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log((confidence + UNFOUNDED) / UNFOUNDED), the scores of rules."""
    return np.log1p(confidences.astype(np.float64) / UNFOUNDED).astype(np.float32)


class RuleScores:
    """Applies rules to facts.

    Args:
        rules: What implies what.
        walks: The facts.
    """

    def __init__(self, rules: Rules, walks: Walks) -> None:
        self._rules, self._walks = rules, walks
        self._values = score_of(rules.confidences)
        self._kept: dict[tuple[int, int], _Row] = {}
        self._num_kept = 0

    def write(
        self,
        relation: int,
        heads: NDArray[np.int64],
        rows: NDArray[np.int64],
        found: NDArray[np.float32],
    ) -> None:
        """Write the score of the best rule to each answer: see `score_of`.

        Args:
            relation: Index, below R.
            heads: Shape (B,).
            rows: Where the scores of each question go. Shape: (B,).
            found: What is written to; answers to which no rule leads are left as they are.
                Shape: (any, E).
        """
        if not len(heads) or not self._rules.rows(relation):
            return
        kept = self._with(relation, heads)
        columns, values, lengths = [], [], []
        for head in heads.tolist():
            scores, place = kept[relation, head]
            start, end = scores.indptr[place : place + 2].tolist()
            columns.append(scores.indices[start:end])
            values.append(scores.data[start:end])
            lengths.append(end - start)
        found[np.repeat(rows, lengths), np.concatenate(columns)] = np.concatenate(values)

    def _with(self, relation: int, heads: NDArray[np.int64]) -> dict[tuple[int, int], _Row]:
        """Return what is kept, those questions included."""
        if self._num_kept > NUMBERS_KEPT:
            self._kept, self._num_kept = {}, 0
        kept = self._kept  # which another thread may replace
        missing = [head for head in np.unique(heads).tolist() if (relation, head) not in kept]
        if not missing:
            return kept
        num_entities = self._walks.num_entities
        starts = np.arange(num_entities) if num_entities <= FEW_ENTITIES else np.array(missing)
        at_once = max(1, _NUMBERS_AT_ONCE // num_entities)
        for first in range(0, len(starts), at_once):
            some = starts[first : first + at_once]
            scores = self._apply(relation, some)
            self._num_kept += scores.nnz
            for place, head in enumerate(some.tolist()):
                kept[relation, head] = scores, place
        return kept

    def _apply(self, relation: int, starts: NDArray[np.int64]) -> sparse.csr_array:
        """Find the scores of all answers. Shape: (B, E), of those to which a rule leads."""
        best = np.zeros((len(starts), self._walks.num_entities), dtype=np.float32)
        flat, rows = best.reshape(-1), np.arange(len(starts)) * self._walks.num_entities
        walk = self._walks.walk_from(starts)
        for rule in self._rules.rows(relation):
            reached = walk.along(self._rules.body(rule))
            places = np.repeat(rows, np.diff(reached.indptr)) + reached.indices
            flat[places] = np.maximum(flat[places], self._values[rule])
        return sparse.csr_array(best)
