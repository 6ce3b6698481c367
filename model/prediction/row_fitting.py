"""Learned rows of entities that arrived after a training, fitted while all else is frozen.

An entity with the mean row is an average answer: its own facts do not find it. So its row minimises
the loss of the training as far as it depends on that row. There are three parts:

- The queries of its facts, in both directions: -log softmax of the answer among all entities.
- The queries of the run's training triples: the entity is one more negative there, which keeps its
  scores on the scale of the others.
- The N3 penalty on the row.

With a bilinear scorer the sum is convex in a row, so the result does not depend on the start,
except for facts between two new entities. Negatives are not weighed by category (EGNS).

Shapes: E known entities, N new ones, F rows that are fitted together, Q queries, C candidates,
D width.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.encoded_block import EncodedBlock

MAX_CANDIDATES = 4096
"""Known entities that are candidates of a query; of more, a sample."""
MAX_QUERIES = 8192
"""Queries of the run in which new entities are negatives; of more, a sample."""
ROWS_AT_ONCE = 256
"""New entities whose rows are fitted together."""
MAX_STEPS = 50
"""Of the search for the rows; it ends before where they no longer change."""


def fit_rows(
    block: EncodedBlock, num_known: int, facts: Tensor, triples: Tensor, n3_weight: float
) -> EncodedBlock:
    """Fit the rows of new entities that have facts. The result is deterministic.

    Args:
        block: Rows of known entities and, behind them, of new ones, from which the search starts.
        num_known: E.
        facts: Triples that name new entities, with their inverses. Shape: (any, 3).
        triples: The run's training triples with their inverses. Shape: (any, 3).
        n3_weight: The run's `train.n3_weight`.

    Returns:
        The block, in which new entities that have facts are present. The rows of known entities,
        and of new ones without facts, are unchanged.
    """
    generator = torch.Generator().manual_seed(0)
    candidates = torch.randperm(num_known, generator=generator)[:MAX_CANDIDATES]
    sample = triples[torch.randperm(len(triples), generator=generator)[:MAX_QUERIES]]
    rows, present = block.entities.detach().clone(), block.present.clone()
    named = facts[:, [0, 2]].unique()
    for chosen in named[named >= num_known].split(ROWS_AT_ONCE) if len(facts) else ():
        own = facts[torch.isin(facts[:, [0, 2]], chosen).any(1)]
        asks = torch.isin(own[:, 0], chosen)
        scoring = _Scoring(block, rows, chosen, candidates, math.log(num_known / len(candidates)))
        parts: list[Callable[[Tensor], Tensor]] = [
            _OwnQueries(scoring, own[asks]),
            _FrozenQueries(scoring, own[~asks], 1.0),
            _FrozenQueries(scoring, sample, len(triples) / len(sample)),
            _Penalty(scoring, own, n3_weight),
        ]
        rows[chosen], present[chosen] = _minimised(parts, rows[chosen]), True
    return replace(block, entities=rows, present=present)


def _minimised(parts: Sequence[Callable[[Tensor], Tensor]], start: Tensor) -> Tensor:
    """Return where a sum is least, searched from a start. Shape: (F, D)."""
    fitted = start.clone().requires_grad_()
    search = torch.optim.LBFGS([fitted], max_iter=MAX_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        loss = torch.stack([part(fitted) for part in parts]).sum()
        (fitted.grad,) = torch.autograd.grad(loss, fitted)
        return loss

    search.step(closure)
    return fitted.detach()


@dataclass(frozen=True)
class _Scoring:
    """What is frozen while rows are fitted.

    Attributes:
        block: Relations and scorer.
        rows: Of all entities; those that are fitted are not read. Shape: (E + N, D).
        chosen: Entities whose rows are fitted, in ascending order. Shape: (F,).
        candidates: Known entities. Shape: (C,).
        offset: Correction of the candidates' scores for being a sample.
    """

    block: EncodedBlock
    rows: Tensor
    chosen: Tensor
    candidates: Tensor
    offset: float

    def columns(self, entities: Tensor) -> tuple[Tensor, Tensor]:
        """Find entities among those fitted: a place, and whether they are there. (Q,), (Q,)."""
        place = torch.searchsorted(self.chosen, entities.contiguous()).clamp_max(
            len(self.chosen) - 1
        )
        return place, self.chosen[place] == entities

    def negative_scores(self, query: Tensor, tails: Tensor) -> Tensor:
        """Score the candidates, less the answers themselves. Shapes: (Q, D), (Q,) -> (Q, C)."""
        scores = self.block.scorer.score_all(query, self.rows[self.candidates]) + self.offset
        return scores.masked_fill(self.candidates == tails.unsqueeze(1), -torch.inf)


class _OwnQueries:
    """Negative log-likelihood of queries whose head's row is fitted."""

    def __init__(self, scoring: _Scoring, queries: Tensor) -> None:
        heads, relations, self._tails = queries.unbind(1)
        self._scoring = scoring
        self._relations = scoring.block.relations.detach()[relations]
        self._heads, _ = scoring.columns(heads)
        self._answers, self._is_fitted = scoring.columns(self._tails)
        self._frozen = scoring.rows[self._tails]

    def __call__(self, fitted: Tensor) -> Tensor:
        """Sum over the queries. Shapes: (F, D) -> ()."""
        scorer = self._scoring.block.scorer
        query = scorer.query(fitted[self._heads], self._relations)
        tails = torch.where(self._is_fitted.unsqueeze(1), fitted[self._answers], self._frozen)
        true = scorer.score_pairs(query, tails.unsqueeze(1))
        new = scorer.score_all(query, fitted)
        new = new.masked_fill(self._scoring.chosen == self._tails.unsqueeze(1), -torch.inf)
        scores = torch.cat([true, self._scoring.negative_scores(query, self._tails), new], dim=1)
        return (scores.logsumexp(1) - true[:, 0]).sum()


class _FrozenQueries:
    """Negative log-likelihood of queries whose head is frozen, as far as it depends on the rows."""

    def __init__(self, scoring: _Scoring, queries: Tensor, weight: float) -> None:
        heads, relations, tails = queries.unbind(1)
        self._scorer, self._weight = scoring.block.scorer, weight
        self._answers, self._is_fitted = scoring.columns(tails)
        with torch.no_grad():
            relation_rows = scoring.block.relations[relations]
            self._query = self._scorer.query(scoring.rows[heads], relation_rows)
            true = self._scorer.score_pairs(self._query, scoring.rows[tails].unsqueeze(1))
            true = true.masked_fill(self._is_fitted.unsqueeze(1), -torch.inf)
            others = scoring.negative_scores(self._query, tails)
            self._others = torch.cat([true, others], dim=1).logsumexp(1, keepdim=True)

    def __call__(self, fitted: Tensor) -> Tensor:
        """Sum over the queries, weighed. Shapes: (F, D) -> ()."""
        scores = self._scorer.score_all(self._query, fitted)
        true = scores.gather(1, self._answers.unsqueeze(1))[:, 0] * self._is_fitted
        total = torch.cat([self._others, scores], dim=1).logsumexp(1)
        return self._weight * (total - true).sum()


class _Penalty:
    """N3 penalty on rows, once for each query that names the entity, as in training."""

    def __init__(self, scoring: _Scoring, queries: Tensor, weight: float) -> None:
        named, is_fitted = scoring.columns(queries[:, [0, 2]].flatten())
        self._weights = weight * named[is_fitted].bincount(minlength=len(scoring.chosen))
        self._scorer = scoring.block.scorer

    def __call__(self, fitted: Tensor) -> Tensor:
        """Sum over the rows. Shapes: (F, D) -> ()."""
        return (self._weights * self._scorer.cubes(fitted)).sum()
