"""What training tells its caller after every epoch; free of torch, so that flows can read it."""

from dataclasses import dataclass

TENSORBOARD_FOLDER = "tensorboard"
"""Folder in a run's folder that holds the log of its training once more, for TensorBoard."""


@dataclass(frozen=True)
class EpochReport:
    """Progress of a training run.

    Attributes:
        epoch: Epochs done, counted from 1.
        num_epochs: Epochs at most.
        loss: Mean loss per triple and side of the epoch, in nats.
        valid_mrr: Filtered MRR on valid, if this epoch ended with an evaluation.
        best_valid_mrr: The best so far, as that is what is kept; None if none was measured.
        seconds: Seconds this epoch took, evaluation included.
        num_epochs_after: Epochs at most of the trainings of the same run that follow.
    """

    epoch: int
    num_epochs: int
    loss: float
    valid_mrr: float | None
    best_valid_mrr: float | None
    seconds: float
    num_epochs_after: int = 0
