"""Running a stage only if its key, or what it left, says that it must."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from flows.stages.keys import StageKey, changes, summarise
from flows.stages.staged_run import StagedRun, finished_runs

Status = Literal["ran", "skipped", "failed"]

NOTHING_TRAINED = "no training has finished here before"


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


def why_stale(folder: StagedRun, key: StageKey) -> str | None:
    """Say why a stage must run, or return None if what it left is still good.

    Args:
        folder: The run's folder.
        key: The stage's key now.
    """
    manifest = folder.manifest(key.stage)
    if manifest is None:
        return _why_new(folder, key)
    if manifest.key != key.digest:
        differences = list(changes(manifest.parts, key.parts))
        return summarise(differences) if differences else "the stage's code has changed"
    return folder.lost_output(key.stage, manifest)


def why_fresh(key: StageKey) -> str:
    """Say of a stage that need not run what it was compared by."""
    return f"unchanged: {', '.join(key.parts)}; all it left is there"


def run_stage(folder: StagedRun, key: StageKey, work: Callable[[], None]) -> Outcome:
    """Run a stage unless it is fresh; a process that runs the same stage is waited for.

    Args:
        folder: The run's folder.
        key: The stage's key.
        work: Does the stage's work in the folder.
    """
    start = start_clock()
    with folder.locked():
        reason = why_stale(folder, key)
        if reason is None:
            return Outcome("skipped", why_fresh(key), since(start))
        folder.forget(key.stage)
        work()
        folder.record(key, since(start))
    return Outcome("ran", reason, since(start))


def _why_new(folder: StagedRun, key: StageKey) -> str:
    """Say why there is no manifest; a training is compared to the most similar finished one."""
    if folder.has_damaged_manifest(key.stage):
        return f"stages/{key.stage}.json is damaged"
    if key.stage != "train":
        return "not done for this training before"
    if folder.has_begun_training():
        return "an earlier training with this key did not finish"
    runs = folder.path.parent
    differences = [list(changes(run.parts, key.parts)) for _, run in finished_runs(runs)]
    if not differences:
        return NOTHING_TRAINED
    return summarise(min(differences, key=len)) or "the stage's code has changed"
