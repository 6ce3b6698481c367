"""Arithmetic that can be repeated: the same training ends with the same numbers on one device.

By default the gradients of rows that are looked up several times are added in the order in which
threads come by, so that two runs differ by rounding, and more with every epoch.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_memory: Any = torch.utils.deterministic  # torch leaves its attribute undeclared


@contextmanager
def repeatable() -> Iterator[None]:
    """Have torch add in a fixed order, on the CPU with any number of threads and on a GPU.

    What has no such form on a GPU warns and goes on.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    mode, fills = torch.get_deterministic_debug_mode(), _memory.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("warn")
    _memory.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        _memory.fill_uninitialized_memory = fills


def seed_for(name: str, chance: int | None) -> None:
    """Seed torch for a part of a model, so that it draws the same whatever other parts there are.

    Args:
        name: Of the part.
        chance: What was drawn for all parts together; None: nothing is to be drawn.
    """
    if chance is not None:
        torch.manual_seed((chance + zlib.crc32(name.encode())) % 2**63)
