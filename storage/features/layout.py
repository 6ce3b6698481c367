"""The sub-databases of a feature store, one LMDB environment per feature space.

    blocks     number, growing (4 bytes, big-endian) -> block of rows, see storage/features/block.py
    index      content digest -> block (uint32) and row in it (uint16), big-endian
    failures   content digest -> why the item has no vector (UTF-8)
    meta       "format" -> "1"; "space" -> description of the feature space (JSON)

New rows fill up the last block and then make new ones. No other block is ever rewritten, but for
those that a repair drops rows from.
"""

import numpy as np

DATABASES = ("blocks", "index", "failures", "meta")

FORMAT_VERSION = b"1"
FORMAT_KEY = b"format"
SPACE_KEY = b"space"

LOCATION = np.dtype([("block", ">u4"), ("row", ">u2")])
"""A value of the index, as an array's dtype."""


def block_key(number: int) -> bytes:
    """Return the key of a block."""
    return number.to_bytes(4, "big")
