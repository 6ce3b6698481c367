"""Where a run of training stands, and which of its epochs is the best so far."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Progress:
    """Where a run stands; part of every checkpoint.

    Attributes:
        epoch: Epochs done.
        best_epoch: Epoch of the best evaluation so far; 0 = none yet.
        best_mrr: Its filtered MRR on valid, if there is one.
        bad_evaluations: Evaluations since the best.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_mrr: float | None = None
    bad_evaluations: int = 0

    def next_epoch(self) -> Self:
        """Return where the run stands after one more epoch."""
        return replace(self, epoch=self.epoch + 1)

    def evaluated(self, mrr: float) -> Self:
        """Return where the run stands after the epoch's evaluation; the first of equals is best."""
        if self.best_mrr is not None and mrr <= self.best_mrr:
            return replace(self, bad_evaluations=self.bad_evaluations + 1)
        return replace(self, best_epoch=self.epoch, best_mrr=mrr, bad_evaluations=0)
