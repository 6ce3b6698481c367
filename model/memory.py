"""Memory that a training step frees is kept for the next one.

The C library of Linux gives a large freed block back to the system, whose pages the next step has
to ask for, and to have zeroed, again: on a CPU that can take longer than what is done with them.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees from now on; its peak use stays as it is.

    Returns:
        Whether the C library can do that; others than Linux's are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    settings = ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0), (_ARENA_MAX, 1))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
