"""Which processes this one has started."""

import os
from pathlib import Path


def children() -> set[int]:
    """Return the ids of this process's children, whoever started them."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return set(map(int, found.split()))
