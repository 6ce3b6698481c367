"""Measures the feature store: reading a table beside `np.load`, bytes, write and look-up rates.

Every ratio is of two times of this run, taken by turns on the same bytes in a warm file cache; of
the repeats the least counts, as other work on the machine only adds. Every row's checksum is
verified. A training run reads a table once, so every read is the first of a process of its own.

    python benchmarks/store.py --rows 10000 100000 1000000 --files 100000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.features.block import Rows
from storage.features.file_digest import FileDigest
from storage.features.file_index import RACY_NS, FileIndex
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore
from storage.features.table import REFERENCE, FeatureTable


class StoreBenchmark:
    """One store of random rows, and a `.npy` file of the same rows.

    Args:
        folder: Where to write both.
        num_rows: Number of rows.
        dim: Length of a row, in float16.
        commit_rows: Rows that are committed together.
        num_repeats: How often each time is taken.
    """

    def __init__(
        self, folder: Path, num_rows: int, dim: int, commit_rows: int, num_repeats: int
    ) -> None:
        random = np.random.default_rng(0)
        self.digests = random.integers(256, size=(num_rows, 32), dtype=np.uint8).view("V32").ravel()
        self.shuffled = random.permutation(self.digests)
        self.num_repeats, self.folder = num_repeats, folder
        rows = random.standard_normal((num_rows, dim), dtype=np.float32).astype(np.float16)
        self.write_seconds = self._write(folder, rows, commit_rows)
        np.save(folder / "rows.npy", rows)

    def report(self) -> str:
        """Return one line of the table."""
        num_rows = len(self.digests)
        few = self.shuffled[: max(1, num_rows // 100)]
        np.savez(self.folder / "wanted.npz", digests=self.digests, shuffled=self.shuffled)
        with FeatureStore.open_readonly(self.directory) as store:
            found = store.statistics()
            keys = self.shuffled[:100_000].tolist()
            lookup_seconds = seconds(lambda: store.lookup(keys))
            few_seconds = seconds(lambda: store.read(few))
        return (
            f"{num_rows:>9,} {num_rows / self.write_seconds:>10,.0f} "
            f"{found.bytes_on_disk / found.bytes_of_rows:>7.3f} "
            f"{self._ratio('in order')} {self._ratio('table')} {self._ratio('shuffled')} "
            f"{1e6 * few_seconds / len(few):>8.1f} {1e6 * lookup_seconds / len(keys):>8.1f}"
        )

    def _write(self, folder: Path, rows: Rows, commit_rows: int) -> float:
        space = FeatureSpace("benchmark", {}, rows.shape[1], "float16")
        keys = self.digests.tolist()
        with FeatureStore.open(folder, space) as store:
            self.directory = store.directory
            start = time.perf_counter()
            for first in range(0, len(keys), commit_rows):
                part = slice(first, first + commit_rows)
                store.write(dict(zip(keys[part], rows[part], strict=True)), {})
            return time.perf_counter() - start

    def _ratio(self, way: str) -> str:
        """Return seconds, and how many times the seconds of `np.load` that is."""
        pairs = [
            (self._first_read(way), self._first_read("np.load")) for _ in range(self.num_repeats)
        ]
        ours, plain = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        return f"{ours:>8.4f} {ours / plain:>6.2f}"

    def _first_read(self, way: str) -> float:
        """Return the seconds of a read in a new process."""
        command = [sys.executable, __file__, "--read", way, str(self.folder), str(self.directory)]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)


def first_read(way: str, folder: Path, directory: Path) -> float:
    """Return the seconds of one read.

    Args:
        way: `np.load`, `in order`, `shuffled`, or `table` (a `FeatureTable`).
        folder: Folder of the benchmark.
        directory: The feature store.
    """
    with np.load(folder / "wanted.npz") as wanted:
        digests = wanted["shuffled" if way == "shuffled" else "digests"]
    references = np.empty(len(digests), REFERENCE)
    references["entity"], references["digest"] = np.arange(len(digests)), digests
    if way == "np.load":
        return seconds(lambda: np.load(folder / "rows.npy"))
    with FeatureStore.open_readonly(directory) as store:
        if way == "table":
            return seconds(lambda: FeatureTable.read(store, len(digests), references))
        return seconds(lambda: store.read(digests))


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes, the freeing of its result not counted."""
    start = time.perf_counter()
    result = work()
    end = time.perf_counter()
    del result
    return end - start


def unchanged_files(folder: Path, num_files: int) -> str:
    """Return what it takes to find that files and their vectors are all known."""
    paths = list(make_files(folder / "dataset", num_files))
    time.sleep(RACY_NS / 1e9)  # younger files are not remembered
    space = FeatureSpace("benchmark", {}, 4, "float16")
    with FileIndex.open(folder) as index, FeatureStore.open(folder, space) as store:
        first = seconds(lambda: index.digests(folder / "dataset", paths))
        found = index.digests(folder / "dataset", paths)
        vector: NDArray[np.float16] = np.zeros(4, np.float16)
        store.write({file.digest: vector for file in found if isinstance(file, FileDigest)}, {})

        def unchanged() -> None:
            files = index.digests(folder / "dataset", paths)
            store.lookup([file.digest for file in files if isinstance(file, FileDigest)])

        again = min(seconds(unchanged) for _ in range(3))
    return f"{num_files:,} files: hashed in {first:.2f} s, found unchanged in {again:.2f} s"


def make_files(root: Path, num_files: int) -> Iterator[str]:
    """Write small files, 1,000 to a folder."""
    for number in range(num_files):
        path = root / str(number // 1000) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number} " * 20)
        yield str(path.relative_to(root))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--commit-rows", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--files", type=int, default=0, help="also: this many unchanged files")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write")
    parser.add_argument(
        "--read", nargs=3, metavar=("WAY", "FOLDER", "STORE"), help="used by itself"
    )
    arguments = parser.parse_args()
    if arguments.read:
        way, folder, directory = arguments.read
        print(first_read(way, Path(folder), Path(directory)))
        return
    print(f"{arguments.dim} x float16, {len(os.sched_getaffinity(0))} cores, s and x np.load")
    print(
        f"{'rows':>9} {'written/s':>10} {'x bytes':>7} {'in order':>15} {'table':>15} "
        f"{'shuffled':>15} {'us/few':>8} {'us/look':>8}"
    )
    for num_rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            benchmark = StoreBenchmark(
                Path(folder), num_rows, arguments.dim, arguments.commit_rows, arguments.repeats
            )
            print(benchmark.report(), flush=True)
    if arguments.files:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(unchanged_files(Path(folder), arguments.files))


if __name__ == "__main__":
    main()
