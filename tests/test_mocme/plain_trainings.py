"""Stands in for trainings in processes of their own: by a formula, or real ones in this process.

Both leave run folders as `mocme train` leaves them.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Self

import pytest

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.local_runs import run_locally
from flows.stages.keys import train_key
from flows.stages.staged_run import StagedRun
from mocme.training_pool import TrainingError, TrainingPool

BEST_LEARNING_RATE = 0.03
BEST_DIM = 64


def mrr_of(config: PipelineConfig, epoch: int) -> float:
    """Best at one learning rate and width; grows with the epochs."""
    distance = abs(math.log10(config.train.learning_rate / BEST_LEARNING_RATE))
    distance += abs(config.model.dim - BEST_DIM) / 100
    return 0.9 * math.exp(-distance) * epoch / config.train.epochs


class _Trainings(ABC):
    @abstractmethod
    def train(
        self,
        config_file: Path,
        overrides: Sequence[str] = (),
        on_look: Callable[[], None] | None = None,
    ) -> Path:
        """Take the place of `TrainingPool.train`."""

    def take_over(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Let every pool train by this."""
        monkeypatch.setattr(TrainingPool, "train", lambda pool, *given: self.train(*given))
        return self


class PlainTrainings(_Trainings):
    """Trains by formula.

    Attributes:
        begun: The overrides of every training, in order.
        epochs: How many epochs each came to.
        fails: Raises for a training, given its number and epoch, whatever it wants to.
    """

    def __init__(self, fails: Callable[[int, int], None] = lambda number, epoch: None) -> None:
        self.begun: list[tuple[str, ...]] = []
        self.epochs: list[int] = []
        self.fails = fails

    def train(
        self,
        config_file: Path,
        overrides: Sequence[str] = (),
        on_look: Callable[[], None] | None = None,
    ) -> Path:
        """Take the place of `TrainingPool.train`."""
        config = load_config(config_file, overrides)
        key = train_key(config, "graph", {})
        run = StagedRun.of(config.runs, key)
        if run.manifest("train") is None:
            number = len(self.begun)
            self.begun.append(tuple(overrides))
            self.epochs.append(0)
            run.path.mkdir(parents=True, exist_ok=True)
            lines = []
            for epoch in range(1, config.train.epochs + 1):
                self.fails(number, epoch)
                lines.append(json.dumps({"epoch": epoch, "valid_mrr": mrr_of(config, epoch)}))
                (run.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
                self.epochs[number] = epoch
                if on_look is not None:
                    on_look()
            run.record(key, 1.0)
        elif on_look is not None:
            on_look()
        return run.path


class TrainingsHere(_Trainings):
    """Trains in this process, one at a time: a process for each costs seconds of imports."""

    def __init__(self) -> None:
        self._one_at_a_time = Lock()

    def train(
        self,
        config_file: Path,
        overrides: Sequence[str] = (),
        on_look: Callable[[], None] | None = None,
    ) -> Path:
        """Take the place of `TrainingPool.train`."""
        with self._one_at_a_time:
            record, exit_code = run_locally("train", config_file, overrides)
        if exit_code != 0:
            raise TrainingError(str(record.error), exit_code)
        if on_look is not None:
            on_look()
        return Path(str(record.as_json()["run_dir"]))
