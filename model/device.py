"""Where a model is trained, and in which precision matrices are multiplied there."""

import torch
from torch import Tensor

from model.config import DtypeName
from storage.errors import MocmeError
from storage.words.visible import quoted


def choose_device(name: str) -> torch.device:
    """Return the torch device of that name; `auto`: the first GPU, else the CPU.

    Raises:
        MocmeError: If this machine has none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        _require(torch.device(name))
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch is built without it
        reason = str(error).partition("\n")[0]
        raise MocmeError(
            f"train.device: found {quoted(name)} ({reason}); allowed: auto, cpu, or a device that "
            "torch finds here, such as cuda:0"
        ) from error
    return torch.device(name)


def _require(device: torch.device) -> None:
    """Raise what torch does where a device is not there."""
    if device.type != "cuda" or torch.cuda.device_count() <= (device.index or 0):
        torch.empty(0, device=device)


def sent_to(device: torch.device, tensor: Tensor) -> Tensor:
    """Copy a tensor of the CPU to a device without waiting for what the device is at."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def choose_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """Return the dtype of that name; `auto`: bfloat16 if the device multiplies that faster."""
    if name == "auto":
        name = "bfloat16" if _has_bfloat16(device) else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    instructions = ("avx512_bf16", "amx_bf16", "sve_bf16")
    return device.type == "cpu" and any(found.get(name) for name in instructions)
