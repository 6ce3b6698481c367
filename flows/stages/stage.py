"""Running a stage only if its key, or what it left, says that it must."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from flows.stages.keys import StageKey
from flows.stages.reasons import TrainedFrom, reasons_stale
from flows.stages.staged_run import StagedRun

Status = Literal["ran", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a stage.

    Attributes:
        status: Whether it ran, was skipped, or failed.
        reason: Why, in words.
        seconds: How long it took in this run.
    """

    status: Status
    reason: str
    seconds: float


def start_clock() -> float:
    """Return the moment to give to `since`."""
    return time.monotonic()


def since(start: float) -> float:
    """Return the seconds that have passed."""
    return time.monotonic() - start


def why_stale(folder: StagedRun, key: StageKey, made_from: TrainedFrom | None = None) -> str | None:
    """Say why a stage must run, every reason; return None if what it left is still good.

    Args:
        folder: The run's folder.
        key: The stage's key now.
        made_from: For a training, what it is made from now.
    """
    return together(reasons_stale(folder, key, made_from)) or None


def together(reasons: Sequence[str]) -> str:
    """Return several reasons as one text."""
    return "; ".join(reasons)


def why_fresh(key: StageKey) -> str:
    """Say of a stage that need not run what it was compared by."""
    return f"unchanged: {', '.join(key.parts)}; all it left is there"


def run_stage(
    folder: StagedRun,
    key: StageKey,
    work: Callable[[], None],
    made_from: TrainedFrom | None = None,
) -> Outcome:
    """Run a stage unless it is fresh; a process that runs the same stage is waited for.

    Args:
        folder: The run's folder.
        key: The stage's key.
        work: Does the stage's work in the folder.
        made_from: For a training, what it is made from, so that the reason can say more.
    """
    start = start_clock()
    with folder.locked():
        reason = why_stale(folder, key, made_from)
        if reason is None:
            return Outcome("skipped", why_fresh(key), since(start))
        folder.forget(key.stage)
        work()
        folder.record(key, since(start))
    return Outcome("ran", reason, since(start))
