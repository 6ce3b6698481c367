"""Trainings that several processes share: `torchrun --nproc-per-node N shared_trainings.py RUNS`.

After each training, every process writes its parameters beside the run's folder, to
`CASE-RANK.safetensors`, those of a final model to `CASE final-RANK.safetensors`. With `--killed`,
one training starts its processes itself and is killed, and only it, after an epoch.
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import torch
from planted_graph import planted_world
from small_training import model_config, train_config

from model.config import ModelConfig, TrainConfig
from model.runs.epoch_report import EpochReport
from model.training import train as training
from model.training import trainer
from model.training.checkpoint import save_weights
from model.training.progress import Progress

WORLD = planted_world()


def case(model: dict[str, Any], **config: Any) -> tuple[ModelConfig, TrainConfig]:
    """Return what to train and how, every epoch evaluated."""
    hidden = {"feature_dropout": 0.3, "modality_dropout": 0.2}
    return (
        model_config(**{**hidden, **model}),
        train_config(**{"epochs": 3, "eval_every": 1, "batch_size": 50, **config}),
    )


CASES = {
    "all negatives": case(
        {"alone": True, "context": True}, epochs=4, held_back=0.3, held_back_epochs=2
    ),
    "distances": case({"scorer": "rotate"}, optimizer="adam", learning_rate=0.01, final="all"),
    "drawn estimates": case({"complementarity": "infonce"}, batch_size=34),
    "odd batches": case(
        {"context": True},
        epochs=2,
        batch_size=7,
        negatives={"mode": "sampled", "sampler": "bernoulli", "num": 8},
    ),
    "a question a batch": case(
        {"structure": False},
        epochs=2,
        batch_size=2,
        negatives={"mode": "sampled", "weighting": "self_adversarial", "num": 4},
    ),
    "early stop": case({}, epochs=9, patience=1, learning_rate=1e-12),
}
RESUMED = "all negatives"
WITH_FINAL = "distances"


def train(name: str, run_dir: Path, *on_epoch: Any, **changes: Any) -> None:
    """Train a case."""
    model, config = CASES[name]
    config = config.model_copy(update=changes)
    training.train(WORLD.graph, WORLD.tables(), model, config, run_dir, *on_epoch)


def _write_parameters_at_end(runs: Path) -> None:
    goes_on = trainer.Trainer._goes_on

    def spied(self: trainer.Trainer, progress: Progress) -> bool:
        found = goes_on(self, progress)
        if not found:
            case = " ".join(self.folder.root.relative_to(runs).parts)
            save_weights(runs / f"{case}-{self.processes.rank}.safetensors", self.model)
        return found

    setattr(trainer.Trainer, "_goes_on", spied)  # noqa: B010 - mypy allows no other way


def _be_killed(report: EpochReport) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Do all trainings, or be killed in one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("--killed", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.killed:
        train(RESUMED, arguments.runs, _be_killed, processes=2)
    _write_parameters_at_end(arguments.runs)
    for name in CASES:
        train(name, arguments.runs / name)


if __name__ == "__main__":
    main()
