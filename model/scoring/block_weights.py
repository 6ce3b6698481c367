"""Weights of blocks: how far to trust each, per relation, as triples not trained on tell.

Learned on the training triples themselves, all trust would go to the learned rows, which have
memorised them. So the weights of a trained model's blocks are fitted on valid, as any other
selection is: they maximise the likelihood of the valid answers. That also calibrates the scores,
since the weights' common size is a temperature.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from model.candidates import CandidateSample
from model.inputs import KnownTails
from model.layers.by_rows import by_rows
from model.scoring.block import Block

PRIOR_STRENGTH = 5.0
"""Pseudo-count that ties a relation's weights to those of all relations."""
WEAK_PRIOR = 0.1
"""Pseudo-count that keeps finite the weight of a block of which the triples tell nothing."""
LARGEST_LOGARITHM = 6.0
_TOLERANCE = 1e-7
"""Change of the summed likelihood, in nats, or of a logarithm, that ends the search.

It is computed in float64: in float32, rounding ends the search, sooner or later by a hundredth.
"""
_MAX_STEPS = 100
SMALLEST_SPREAD = 1e-6
"""Deviation of scores below which a block is taken to say nothing."""


def fit_block_weights(
    blocks: Sequence[Block],
    questions: Tensor,
    known: KnownTails,
    seed: int = 0,
) -> Tensor:
    """Fit the weight of every block for every relation.

    weight(r, b) = exp(g_b + d_rb) for scores of unit variance: g is shared and held by `WEAK_PRIOR`
    only, d is shrunk towards zero by `PRIOR_STRENGTH`. The likelihood is that of a
    `CandidateSample`.

    Args:
        blocks: Embeddings and rules; no gradient reaches them.
        questions: Valid triples with inverses. Shape: (Q, 3).
        known: Answers that do not count as wrong; must hold the questions' own.
        seed: Which questions and candidates are drawn.

    Returns:
        Shape (R, num_blocks), positive; 0 for a block that says nothing of the candidates.
    """
    if len(questions) == 0:
        return torch.ones(blocks[0].num_relations, len(blocks), device=questions.device)
    sample = CandidateSample.draw(questions, known, blocks[0].num_entities, seed)
    with torch.no_grad():
        scores = torch.stack([block.candidate_scores(sample) for block in blocks], dim=1)
    asked = sample.questions[:, 1]
    spread = scores.std(dim=(0, 2))
    speaks = spread > SMALLEST_SPREAD
    spread = spread.clamp_min(SMALLEST_SPREAD)
    scores = scores / spread[:, None]
    shape = (1 + blocks[0].num_relations, len(blocks))
    logarithms = torch.zeros(shape, dtype=torch.double, device=scores.device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logarithms],
        max_iter=_MAX_STEPS,
        tolerance_change=_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        rows = (_weights(logarithms)[asked], scores, sample.offsets)
        (surprise,) = by_rows(_surprise, rows, ())
        general, specific = logarithms[0], logarithms[1:]
        loss = surprise.sum()
        loss = loss + PRIOR_STRENGTH * specific.square().sum() + WEAK_PRIOR * general.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return _weights(logarithms).detach().float() / spread * speaks


def _weights(logarithms: Tensor) -> Tensor:
    """Weights from shared logarithms, in the first row, and each relation's own. (R, num_blocks).

    They stay between e^-6 and e^6, whatever a search tries.
    """
    total = logarithms[0] + logarithms[1:]
    return (LARGEST_LOGARITHM * (total / LARGEST_LOGARITHM).tanh()).exp()


def _surprise(weights: Tensor, scores: Tensor, offsets: Tensor) -> tuple[Tensor]:
    """Return each question's negative log-likelihood, in nats.

    Args:
        weights: Of the blocks. Shape: (Q, num_blocks).
        scores: Of the true answer and the candidates. Shape: (Q, num_blocks, 1 + C).
        offsets: As those of a `CandidateSample`. Shape: (Q, 1 + C).

    Returns:
        Shape (Q,).
    """
    logits = torch.einsum("qb,qbc->qc", weights, scores.double()) + offsets
    return (-F.log_softmax(logits, dim=1)[:, 0],)
