"""Checkpoints: weights and optimiser state in one safetensors file, whole or not at all.

Shapes and values only: loading a checkpoint can run no code.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from storage.atomic import replacing


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a model's parameters and persistent buffers."""
    with replacing(path) as temporary:
        save_file(_on_cpu(model.state_dict()), temporary)


def load_weights(path: Path, model: nn.Module) -> None:
    """Read what `save_weights` wrote; every name and shape must match."""
    model.load_state_dict(load_file(path))


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Mapping[str, Any]
) -> None:
    """Write all that training needs to go on after a stop.

    Args:
        path: The file.
        model: Its parameters and persistent buffers are written.
        optimizer: Its state is written; its settings come from the config.
        progress: JSON values: epochs done, best metric and the like.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    with replacing(path) as temporary:
        save_file(_on_cpu(tensors), temporary, {"progress": json.dumps(progress)})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore model and optimiser; return the progress that was saved with them."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    weights = {n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")}
    model.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return progress


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
