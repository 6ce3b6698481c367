"""Arithmetic that can be repeated: the same training ends with the same numbers on one device.

By default the gradients of rows that are looked up several times are added in the order in which
threads come by, so that two runs differ by rounding, and more with every epoch.
"""

import os
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
