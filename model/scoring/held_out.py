"""Answers of a model on facts that it has not learned: what a calibration is fitted to.

Shapes: n answers, F features of a triple, R relations (inverses not counted).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_PREFIX = "held_out."
_PRIOR_STRENGTH = 5.0  # facts that tie a relation's share of held-out ones to that of all


@dataclass(frozen=True)
class LabelledAnswers:
    """Answers of a model, and which of them came true.

    Attributes:
        features: See `model.probability.triple_probabilities`. Shape: (n, F), float64.
        relations: Index of each. Shape: (n,).
        holds: Which are known to hold. Shape: (n,), bool.
    """

    features: Tensor
    relations: Tensor
    holds: Tensor

    def __getitem__(self, rows: Tensor) -> "LabelledAnswers":
        """Return some of the answers."""
        return LabelledAnswers(self.features[rows], self.relations[rows], self.holds[rows])

    @staticmethod
    def together(parts: Sequence["LabelledAnswers"]) -> "LabelledAnswers":
        """Put the answers of several models together."""
        columns = zip(*((it.features, it.relations, it.holds) for it in parts), strict=True)
        return LabelledAnswers(*map(torch.cat, columns))


@dataclass(frozen=True)
class HeldOutAnswers:
    """Answers of a model that completed a graph without some of its facts, and how many there were.

    Where the held-out facts were divided among several models (cross-fitting), each model's answers
    leave out the facts of the others.

    Attributes:
        answers: What the models answered, and which answers are among the held-out facts.
        num_known: Facts of each relation that were known. Shape: (R,).
        num_held_out: Facts of each relation that were held out. Shape: (R,).
        num_facts: Facts of the whole graph, among them some that were neither.
        num_parts: Number of models.
        missing_share: Share of all facts that the features take the whole graph to lack.
    """

    answers: LabelledAnswers
    num_known: Tensor
    num_held_out: Tensor
    num_facts: int
    num_parts: int
    missing_share: float

    def num_missing(self, missing_share: float) -> float:
        """Return how many facts were missing without the held-out ones.

        Args:
            missing_share: Share of all facts that the whole graph lacks.
        """
        return max(self.num_facts / (1 - missing_share) - float(self.num_known.sum()), 1.0)

    def share_held_out(self, missing_share: float) -> Tensor:
        """Return, of the facts of each relation that were missing, the share that was held out.

        Relations of few facts are tied to all.

        Args:
            missing_share: Share of all facts that the whole graph lacks.

        Returns:
            Shape (R,), float64, above 0 and at most 1.
        """
        num_missing = self.num_missing(missing_share)
        missing = self.num_known.double() * (num_missing / max(float(self.num_known.sum()), 1.0))
        of_all = float(self.num_held_out.sum()) / num_missing
        shares = (self.num_held_out + _PRIOR_STRENGTH * of_all) / (missing + _PRIOR_STRENGTH)
        return shares.clamp(1e-6, 1.0)

    def share_known(self, missing_share: float) -> Tensor:
        """Return, of the answers of each relation that hold, the share that is known to.

        As `share_held_out`, but for the facts that each model's answers leave out.
        """
        shares = self.share_held_out(missing_share)
        return shares / (self.num_parts - shares * (self.num_parts - 1))

    def share_for_features(self, missing_share: float) -> float:
        """Return the missing share to compute features with when the whole graph is completed.

        Weights are fitted to features that take one share to be missing. For any other share, what
        is missing of the whole graph has to be to what was missing then as it is for that share.

        Args:
            missing_share: Share of all facts that the whole graph lacks.
        """
        if not len(self.answers.holds):  # nothing was fitted
            return missing_share
        missing_now = missing_share / (1 - missing_share)  # for each fact of the whole graph
        then, as_featured = (
            self.num_missing(share) for share in (missing_share, self.missing_share)
        )
        odds = missing_now * as_featured / then
        return odds / (1 + odds)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name, as it is stored."""
        parts = {
            "features": self.answers.features.float(),
            "relations": self.answers.relations,
            "holds": self.answers.holds,
            "num_known": self.num_known,
            "num_held_out": self.num_held_out,
            "num_facts": torch.tensor(self.num_facts),
            "num_parts": torch.tensor(self.num_parts),
            "missing_share": torch.tensor(self.missing_share, dtype=torch.double),
        }
        return {_PREFIX + name: value for name, value in parts.items()}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor]) -> "HeldOutAnswers":
        """Put together what `tensors` took apart."""

        def part(name: str) -> Tensor:
            return tensors[_PREFIX + name]

        answers = LabelledAnswers(part("features").double(), part("relations"), part("holds"))
        return HeldOutAnswers(
            answers,
            part("num_known"),
            part("num_held_out"),
            int(part("num_facts")),
            int(part("num_parts")),
            float(part("missing_share")),
        )

    @staticmethod
    def none(
        num_relations: int,
        num_features: int,
        *,
        num_facts: int = 0,
        missing_share: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> "HeldOutAnswers":
        """Return no answers."""
        nothing = torch.zeros(0, dtype=torch.long, device=device)
        features = torch.zeros(0, num_features, dtype=torch.double, device=device)
        counts = torch.zeros(num_relations, dtype=torch.long, device=device)
        answers = LabelledAnswers(features, nothing, nothing.bool())
        return HeldOutAnswers(answers, counts, counts.clone(), num_facts, 1, missing_share)
