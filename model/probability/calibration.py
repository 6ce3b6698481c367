"""Probabilities that mean something: of the answers given 30%, three in ten should hold.

Questions are asked as those are that complete a graph, also ones without any answer, of a model
that has not learned the triples that came true. Fitted are, for every relation, an intercept and
the weights of the log-odds that a triple has by its two questions (Platt scaling), tied to those
of all relations. Of the facts that a graph lacks, only a share is known to have come true, so an
answer with probability p is known to hold with that share of p (Elkan and Noto, "Learning
Classifiers from Only Positive and Unlabeled Data", KDD 2008).

Shapes: n answers, R relations (inverses not counted).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.probability.further_answers import FurtherAnswers
from model.probability.triple_probabilities import Unanswered, side_features
from storage.datasets.graph import Triples
from storage.datasets.keys import is_among, pack

NUM_BINS = 10
PRIOR_STRENGTH = 5.0
"""Pseudo-count that ties a relation's line to that of all relations."""
MOST_QUESTIONS = 4096
"""Questions that are asked to calibrate a model, drawn at random where there are more."""
_NUM_ANSWERS = 20  # to each question, the most probable ones
_WORTH_TELLING = 1e-3  # probability by a question, below which an answer tells next to nothing
_QUESTIONS_AT_ONCE = 256
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ToldAnswers:
    """Answers of a model, and which of them came true.

    Attributes:
        features: What their probabilities are told by; see `side_features`. Shape: (n, 3).
        relations: Of each. Shape: (n,).
        holds: Which are known to hold. Shape: (n,), bool.
    """

    features: Tensor
    relations: Tensor
    holds: Tensor

    def log_odds(self, lines: Tensor) -> Tensor:
        """Return the log-odds by some calibration. Shapes: (R, 3) -> (n,), float64."""
        return (self.features * lines.double()[self.relations]).sum(1)

    def __getitem__(self, rows: Tensor) -> "ToldAnswers":
        """Return some of the answers."""
        return ToldAnswers(self.features[rows], self.relations[rows], self.holds[rows])

    @staticmethod
    def together(parts: Sequence["ToldAnswers"]) -> "ToldAnswers":
        """Put the answers of several models together."""
        columns = zip(*((it.features, it.relations, it.holds) for it in parts), strict=True)
        return ToldAnswers(*map(torch.cat, columns))


@torch.no_grad()
def tell_answers(unanswered: Unanswered, truths: Triples, ignored: Triples) -> ToldAnswers:
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
    entities, questions, answers = entities[rows], questions[rows], answers[rows]
    other = unanswered.of_triples(answers, (questions + size) % (2 * size), entities)
    holds = torch.from_numpy(is_among(keys[kept], np.unique(truth_keys))).to(found.device)
    return ToldAnswers(side_features(found[rows, 3], other), questions % size, holds)


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
        places, columns = torch.nonzero(top.values >= _WORTH_TELLING, as_tuple=True)
        told = (entities[places], questions[places], top.indices[places, columns])
        yield torch.stack([*told, top.values[places, columns]], dim=1).double()


def fit_calibration(told: ToldAnswers, before: Tensor, share_known: Tensor) -> Tensor:
    """Fit a line for every relation to what came true, by likelihood.

    Args:
        told: Answers of a model that has not learned what came true.
        before: Lines that the answers change as far as they tell otherwise. Shape: (R, 3).
        share_known: Of each relation's missing facts, the share that is known to have come true.
            Shape: (R,).

    Returns:
        Intercept and the weights of the larger and of the smaller log-odds. Shape: (R, 3), float32.
    """
    holds, start = told.holds.double(), before.to(told.holds.device).double()
    shares = share_known.to(holds.device).double()[told.relations]
    lines = torch.zeros(
        (1 + len(before), 3), dtype=torch.double, device=holds.device, requires_grad=True
    )
    optimizer = torch.optim.LBFGS(
        [lines], max_iter=200, tolerance_change=_TOLERANCE, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        known = shares * told.log_odds(start + lines[0] + lines[1:]).sigmoid()
        wrong = F.binary_cross_entropy(known, holds, reduction="sum")
        own = PRIOR_STRENGTH * lines[1:].square().sum()
        loss: Tensor = wrong + own + lines[0].square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return (start + lines[0] + lines[1:]).detach().float()


def cross_fitted_odds(told: ToldAnswers, before: Tensor, share_known: Tensor) -> Tensor:
    """Return log-odds of answers, those of each half by lines that are fitted on the other.

    Args:
        told: The answers.
        before: As in `fit_calibration`.
        share_known: As in `fit_calibration`.

    Returns:
        Shape (n,), float64.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(told.holds), generator=generator).to(told.holds.device)
    halves = order.tensor_split(2)
    odds = torch.empty(len(order), dtype=torch.double, device=order.device)
    for one, other in (halves, halves[::-1]):
        odds[one] = told[one].log_odds(fit_calibration(told[other], before, share_known))
    return odds


def share_true(holds: NDArray[np.bool_], share_known: NDArray[np.float64]) -> float:
    """Return the share of answers that hold, where of those only some are known to. (n,), (n,)."""
    return min(1.0, float(holds.sum() / share_known.sum()))


def reliability(
    probabilities: NDArray[np.float64],
    holds: NDArray[np.bool_],
    share_known: NDArray[np.float64],
) -> dict[str, Any]:
    """Compare probabilities with what came true, in `NUM_BINS` bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        probabilities: Shape (n,).
        holds: Which are known to hold. Shape: (n,).
        share_known: Of those like it that hold, the share that is known to. Shape: (n,).

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
            "accuracy": share_true(holds[places == place], share_known[places == place]),
            "count": int((places == place).sum()),
        }
        for place in np.unique(places).tolist()
    ]
    gaps = sum(found["count"] * abs(found["probability"] - found["accuracy"]) for found in bins)
    return {"ece": gaps / len(holds), "num_answers": len(holds), "bins": bins}
