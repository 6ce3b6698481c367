"""Writes items to a feature store: what the tests start, several times at once, and kill.

Usage: store_writer.py ROOT FIRST LAST BATCH_SIZE [MAX_FILE_BYTES]
Prints "ready", then the number of every batch that is stored.
"""

import resource
import sys
from pathlib import Path

from store_items import SPACE, digest, reason, vectors

from storage.features.store import FeatureStore


def main(root: str, first: str, last: str, batch_size: str, max_file_bytes: str = "") -> None:
    if max_file_bytes:
        limit = int(max_file_bytes)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with FeatureStore.open(Path(root), SPACE) as store:
        print("ready", flush=True)  # noqa: T201 - read by the test
        for start in range(int(first), int(last), int(batch_size)):
            items = range(start, min(start + int(batch_size), int(last)))
            good = [item for item in items if not fails(item)]
            store.write(vectors(good), {digest(i): reason(i) for i in items if fails(i)})
            print(start, flush=True)  # noqa: T201 - read by the test


def fails(item: int) -> bool:
    return item % 10 == 9


if __name__ == "__main__":
    main(*sys.argv[1:])
