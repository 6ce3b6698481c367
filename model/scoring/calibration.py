"""Probabilities that mean something: of the answers given 30%, three in ten should hold.

A softmax over entities shares out a certainty of 1 among them, though a question may have many
answers. So the log-odds of an answer against all others are mapped to the probability that it
holds, by what came true on valid: a slope and an intercept for every relation (Platt scaling),
tied to those of all relations.

What holds and stands in no split counts as wrong, so these probabilities are cautious; those of
questions that have no answer which the graph lacks are not, as all questions of valid have one.
Triples of other splits neither count as wrong nor as right.

Shapes: B batch, Q questions, K answers to each, E entities, R relations (inverses included).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.inputs import KnownTails, with_inverses
from model.scoring.blocks import BlockScoring
from model.scoring.odds import log_odds_of
from storage.datasets.graph import Triples

NUM_ANSWERS = 10
"""Most probable answers to a question that calibration looks at, as whoever asks does."""
NUM_BINS = 10
PRIOR_STRENGTH = 5.0
"""Pseudo-count that ties a relation's slope and intercept to those of all relations."""
_LARGEST_FITTED = 30.0  # log-odds
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class BestAnswers:
    """The most probable answers to questions, those known before left out.

    Attributes:
        relations: What each question asks. Shape: (Q,).
        log_odds: Of its answers, the best first; -inf where there are fewer. Shape: (Q, K).
        holds: Which of them came true. Shape: (Q, K), bool.
    """

    relations: Tensor
    log_odds: Tensor
    holds: Tensor


@torch.inference_mode()
def best_answers(
    scoring: BlockScoring, triples: Triples, known: KnownTails, chunk_size: int = 512
) -> BestAnswers:
    """Ask every question that triples answer, once, on both sides.

    Args:
        scoring: The model.
        triples: What came true. Shape: (n, 3).
        known: All else that is known.
        chunk_size: Questions at once; memory is chunk_size * E * 4 bytes a few times over.
    """
    both_ways = with_inverses(triples, scoring.num_relations)
    truths = KnownTails(both_ways, 2 * scoring.num_relations, scoring.block_weights.device)
    by_relation = np.unique(both_ways[:, [1, 0]], axis=0)  # for which rules cost less together
    asked = torch.from_numpy(by_relation[:, ::-1].copy()).to(scoring.block_weights.device)
    found = [_best_of(scoring, chunk, known, truths) for chunk in asked.split(chunk_size)]
    log_odds, holds = (torch.cat(parts) for parts in zip(*found, strict=True))
    return BestAnswers(asked[:, 1], log_odds, holds)


def _best_of(
    scoring: BlockScoring, questions: Tensor, known: KnownTails, truths: KnownTails
) -> tuple[Tensor, Tensor]:
    heads, relations = questions.unbind(1)
    log_odds = log_odds_of(scoring.scores(heads, relations))
    log_odds[known.lookup(heads, relations)] = -torch.inf
    top = log_odds.topk(min(NUM_ANSWERS, scoring.num_entities))
    holds = truths.among_all(heads, relations, scoring.num_entities)
    return top.values, holds.gather(1, top.indices)


def fit_calibration(best: BestAnswers, num_relations: int) -> Tensor:
    """Fit slopes and intercepts to what came true of the best answers, by likelihood.

    Args:
        best: Answers to questions of valid by a model that has not learned those triples.
        num_relations: R.

    Returns:
        Slope, positive, and intercept of every relation; 1 and 0 without answers. Shape: (R, 2).
    """
    is_answer = best.log_odds.isfinite()
    rows = torch.nonzero(is_answer)[:, 0]
    log_odds = best.log_odds[is_answer].double().clamp(-_LARGEST_FITTED, _LARGEST_FITTED)
    holds = best.holds[is_answer].double()
    shape = (1 + num_relations, 2)
    line = torch.zeros(shape, dtype=torch.double, device=log_odds.device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [line], max_iter=200, tolerance_change=_TOLERANCE, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        slope, intercept = _lines(line)[best.relations[rows]].unbind(1)
        wrong = F.binary_cross_entropy_with_logits(
            slope * log_odds + intercept, holds, reduction="sum"
        )
        loss: Tensor = wrong + PRIOR_STRENGTH * line[1:].square().sum() + line[0].square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return _lines(line).detach().float()


def _lines(line: Tensor) -> Tensor:
    """Slope and intercept per relation, of what all share, in the first row, and each one's own."""
    total = line[0] + line[1:]
    return torch.stack([total[:, 0].exp(), total[:, 1]], dim=1)


def reliability(probabilities: NDArray[np.float64], holds: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare probabilities with what came true, in `NUM_BINS` bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        probabilities: Shape (n,).
        holds: Shape (n,).

    Returns:
        `ece`, the expected calibration error: the mean over answers of how far the mean probability
        of their bin is from the share that holds; `num_answers`; and of every `bins` that is not
        empty `lower`, `upper`, mean `probability`, `accuracy`, `count`. Without answers, no `ece`.
    """
    if len(holds) == 0:
        return {"num_answers": 0, "bins": []}
    places = np.minimum((probabilities * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = [
        {
            "lower": place / NUM_BINS,
            "upper": (place + 1) / NUM_BINS,
            "probability": float(probabilities[places == place].mean()),
            "accuracy": float(holds[places == place].mean()),
            "count": int((places == place).sum()),
        }
        for place in np.unique(places).tolist()
    ]
    gaps = sum(found["count"] * abs(found["probability"] - found["accuracy"]) for found in bins)
    return {"ece": gaps / len(holds), "num_answers": len(holds), "bins": bins}
