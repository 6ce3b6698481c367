"""Training that takes a fraction of a second, and what to read from its folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from planted_graph import World
from safetensors.torch import load_file
from torch import Tensor

from model.config import ModelConfig, NegativesConfig, TrainConfig

SMALL_MODEL = ModelConfig(alone=False, context=False, rule_length=0, dim=8, num_experts=2)
SMALL_TRAIN = TrainConfig(epochs=4, batch_size=64, eval_every=2, dtype="float32", device="cpu")


def model_config(**changes: Any) -> ModelConfig:
    """Return the small model with some options changed."""
    return ModelConfig.model_validate({**SMALL_MODEL.model_dump(), **changes})


def train_config(**changes: Any) -> TrainConfig:
    """Return the small training with some options changed."""
    return TrainConfig.model_validate({**SMALL_TRAIN.model_dump(), **changes})


def negatives_config(**changes: Any) -> NegativesConfig:
    """Return the small training's negatives with some options changed."""
    return NegativesConfig.model_validate(changes)


def run_training(world: World, run_dir: Path, **changes: Any) -> Path:
    """Train the small model on a world; `changes` are to the small training."""
    from model.training.train import train

    train(world.graph, world.tables(), SMALL_MODEL, train_config(**changes), run_dir)
    return run_dir


def epochs_of(run_dir: Path) -> list[dict[str, Any]]:
    """Read the log of a run, less the seconds, which no two runs share."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def losses_of(run_dir: Path) -> list[float]:
    """Read the loss of every epoch."""
    return [epoch["loss"] for epoch in epochs_of(run_dir)]


def drawn_epochs_of(run_dir: Path) -> list[dict[str, float]]:
    """Read what TensorBoard would draw of every epoch, less the seconds; float32.

    A step that an event file holds twice raises.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    epochs: dict[int, dict[str, float]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name) if name != "seconds" else ():
            epoch = epochs.setdefault(event.step, {"epoch": event.step})
            if name in epoch:
                raise ValueError(f"{name} of epoch {event.step} is there twice")
            epoch[name] = event.value
    return [epochs[step] for step in sorted(epochs)]


def is_drawn_as_logged(run_dir: Path) -> bool:
    """Whether TensorBoard's log of a run holds what metrics.jsonl does."""
    logged = [
        {
            name: float(np.float32(value))
            for name, value in epoch.items()
            if value is not None and name != "num_epochs"
        }
        for epoch in epochs_of(run_dir)
    ]
    return drawn_epochs_of(run_dir) == logged


def everything_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Read content and modification time of every file in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def same_tensors(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal bit by bit; NaN equals NaN."""
    return first.keys() == second.keys() and all(
        torch.equal(torch.nan_to_num(first[name], nan=7e7), torch.nan_to_num(second[name], nan=7e7))
        for name in first
    )


def same_outcome(first: Path, second: Path) -> bool:
    """Whether two runs logged the same and left the same model."""
    return epochs_of(first) == epochs_of(second) and all(
        same_tensors(load_file(first / name), load_file(second / name))
        for name in ("scoring.safetensors", "model.safetensors")
    )
