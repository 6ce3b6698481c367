"""Shares the copying of rows between threads; numpy releases the interpreter meanwhile."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADED_BYTES = 16 * 2**20
"""Less is copied by one thread: starting others would take longer."""

MAX_THREADS = 4


def in_threads(work: Callable[[], None], num_bytes: int) -> None:
    """Run `work` in several threads at once, or only here if there is little to copy.

    Args:
        work: Copies one piece after another, whichever nobody has begun, until none is left.
        num_bytes: How much there is to copy.
    """
    if num_bytes < THREADED_BYTES:
        work()
        return
    num_threads = min(MAX_THREADS, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(num_threads) as pool:
        for done in [pool.submit(work) for _ in range(num_threads)]:
            done.result()
