"""Copies all rows of a store in the order in which they were stored, as a table is usually read.

No row has to be located: its checksum is taken over the wanted digest, so it also says whether the
row is the wanted one. One pass does, then, and threads share it. While one steps to the next blocks
(there the kernel maps the file's pages, which takes nearly as long as `np.load` of the same rows),
the others copy and verify.
"""

import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from storage.features.block import Block, DigestWords, Rows, digest_checksums, row_checksums
from storage.features.copy_threads import in_threads

BLOCKS_PER_TURN = 8


class OrderedCopy:
    """One attempt to copy the rows of all blocks to where the wanted ones belong.

    Args:
        blocks: All blocks, in order; stepped by one thread at a time.
        wanted: Digests that the rows should have. Shape: (num_wanted, 4).
        out: Where to copy to. Shape: (any, dim).
        targets: Row of `out` for each wanted digest. Shape: (num_wanted,).
    """

    def __init__(
        self, blocks: Iterator[Block], wanted: DigestWords, out: Rows, targets: NDArray[np.int64]
    ) -> None:
        self._blocks = blocks
        self._wanted = wanted
        self._out = out
        self._targets = targets
        self._is_run = bool((np.diff(targets) == 1).all())
        self._lock = threading.Lock()
        self._num_taken = 0
        self._failed = False

    def run(self) -> bool:
        """Copy; return whether the rows are the wanted ones in this order, and sound.

        If they are not, anything may have been written to the targets.
        """
        in_threads(self._take_turns, len(self._wanted) * self._out.strides[0])
        return not self._failed and self._num_taken == len(self._wanted)

    def _take_turns(self) -> None:
        """Copy a few blocks at a time until none are left, or a row is not the wanted one."""
        while not self._failed:
            start, blocks = self._take()
            if not blocks:
                return
            if not self._copy(start, blocks):
                self._failed = True

    def _take(self) -> tuple[int, list[Block]]:
        """Return the number of rows taken before, and the next blocks."""
        with self._lock:
            start, blocks = self._num_taken, list(islice(self._blocks, BLOCKS_PER_TURN))
            self._num_taken += sum(block.num_rows for block in blocks)
        return start, blocks

    def _copy(self, start: int, blocks: list[Block]) -> bool:
        """Copy blocks, the first row being the wanted one `start`; say if all are as wanted."""
        stops = start + np.cumsum([block.num_rows for block in blocks])
        if stops[-1] > len(self._wanted):
            return False
        due = digest_checksums(self._wanted[start : stops[-1]])
        for block, stop in zip(blocks, stops.tolist(), strict=True):
            rows = slice(stop - block.num_rows, stop)
            self._out[self._place(rows)] = block.rows
            found = row_checksums(block.words) + due[rows.start - start : stop - start]
            if not (found == block.checksums).all():
                return False
        return True

    def _place(self, wanted: slice) -> slice | NDArray[np.int64]:
        """Return the rows of `out` for wanted ones: as a slice, if that will do."""
        if not self._is_run:
            return self._targets[wanted]
        first = int(self._targets[0])
        return slice(first + wanted.start, first + wanted.stop)
