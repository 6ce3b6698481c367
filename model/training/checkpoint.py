"""Checkpoints: weights and optimiser state in one safetensors file, whole or not at all.

Shapes and values only: loading a checkpoint can run no code. Each file carries a checksum of what
it holds, as what is written while training goes on is in no other file's.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from model.runs.run_files import TRAIN_ANEW
from storage.atomic import replacing
from storage.errors import MocmeError
from storage.files.file_errors import read_errors, write_errors
from storage.files.owned import check_readable_file

_CHECKSUM = "checksum"
_PROGRESS = "progress"


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a model's parameters and persistent buffers.

    Raises:
        FileError: If the system fails to write them.
    """
    _save(path, model.state_dict(), {})


def load_weights(path: Path, model: nn.Module) -> None:
    """Read what `save_weights` wrote; every name and shape must match.

    Raises:
        FileError: If it cannot be read.
        DamagedFileError: If it is damaged, or another model's.
    """
    with read_errors(path, TRAIN_ANEW):
        model.load_state_dict(_load(path)[0])


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Mapping[str, Any]
) -> None:
    """Write all that training needs to go on after a stop.

    Args:
        path: The file.
        model: Its parameters and persistent buffers are written.
        optimizer: Its state is written; its settings come from the config.
        progress: JSON values: epochs done, best metric and the like.

    Raises:
        FileError: If the system fails to write it.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    _save(path, tensors, {_PROGRESS: json.dumps(progress)})


def check_weights(path: Path) -> None:
    """Check that weights are as `save_weights` wrote them.

    Raises:
        FileError: If they cannot be read.
        DamagedFileError: If they are damaged.
    """
    with read_errors(path, TRAIN_ANEW):
        _load(path)


def read_progress(path: Path) -> dict[str, Any]:
    """Return the progress that was saved with a checkpoint, before anything is restored.

    Raises:
        FileError: If it cannot be read.
        DamagedFileError: If it is damaged.
    """
    with read_errors(path, TRAIN_ANEW):
        return _progress(_load(path)[1])


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore model and optimiser; return the progress that was saved with them.

    Raises:
        FileError: If it cannot be read.
        DamagedFileError: If it is damaged; model and optimiser are as they were then.
        MocmeError: If it is another model's.
    """
    with read_errors(path, TRAIN_ANEW):
        tensors, metadata = _load(path)
        progress = _progress(metadata)
    weights = {n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise MocmeError(
            f"{path}: found a checkpoint of another model ({' '.join(str(error).split())}); "
            "allowed: one of the model that is trained"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return progress


def _progress(metadata: Mapping[str, str]) -> dict[str, Any]:
    found = json.loads(metadata[_PROGRESS])
    if not isinstance(found, dict):
        raise TypeError("its progress is no object")
    return found


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    whole = {**metadata, _CHECKSUM: _checksum(on_cpu, metadata)}
    with write_errors(path), replacing(path) as temporary:
        save_file(on_cpu, temporary, whole)


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata, which are as they were saved: files of old have no checksum.

    Raises:
        ValueError: If they are not.
    """
    check_readable_file(path)
    path.open("rb").close()  # tells a missing permission as what it is
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata: dict[str, str] = file.metadata() or {}
    checksum = metadata.pop(_CHECKSUM, None)
    if checksum is not None and checksum != _checksum(tensors, metadata):
        raise ValueError("its checksum does not match")
    return tensors, metadata


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hex."""
    state = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        state.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
