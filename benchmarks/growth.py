"""What grows with a dataset beside extraction and training: reading it, and merging shards.

    python benchmarks/growth.py --entities 10000 100000 1000000 --rows 100000

Reading is `read_dataset` of entities with one short text and two triples each, in a process of its
own; memory is that process's peak. Merging moves shards of 4,096 rows of 512 float16 into a store;
beside it the same rows are written to a store at once, in transactions of as many.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from storage.datasets.dataset import read_dataset
from storage.features.block import Rows
from storage.features.shards import merge_shard, shard_folder
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore

SPACE = FeatureSpace("benchmark", {}, 512, "float16")
SHARD_SIZE = 4096


def main() -> None:
    """Measure and print, or be one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rows", type=int, default=40_960)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(measure_reading(options.read))
        return
    for num_entities in options.entities:
        command = [sys.executable, __file__, "--read", str(num_entities)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    print(measure_merging(-(-options.rows // SHARD_SIZE)))


def measure_reading(num_entities: int) -> str:
    """Write a dataset and read it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_dataset(root, num_entities)
        start = time.perf_counter()
        dataset = read_dataset(root)
        seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{len(dataset.entities):,} entities: read in {seconds:.2f} s, {peak_mib:.0f} MiB"


def write_dataset(root: Path, num_entities: int) -> None:
    """Write entities with a text each, and two triples of each."""
    with (root / "entities.jsonl").open("w") as file:
        for number in range(num_entities):
            file.write(f'{{"id": "e{number}", "text": "some words about entity {number}"}}\n')
    with (root / "train.tsv").open("w") as file:
        for number in range(num_entities):
            for step in (1, 7):
                file.write(f"e{number}\tr{step}\te{(number + step) % num_entities}\n")
    for split, tail in (("valid", "e5"), ("test", "e6")):
        (root / f"{split}.tsv").write_text(f"e0\tr1\t{tail}\n")


def measure_merging(num_shards: int) -> str:
    """Merge shards, and write the same rows without any."""
    batches = [random_rows(seed) for seed in range(num_shards)]
    with tempfile.TemporaryDirectory() as folder:
        root, plain = Path(folder, "sharded"), Path(folder, "plain")
        for name, batch in enumerate(batches):
            with FeatureStore.open(shard_folder(root, str(name)), SPACE) as shard:
                shard.write(batch, {})
        start = time.perf_counter()
        with FeatureStore.open(root, SPACE) as store:
            for name in range(num_shards):
                merge_shard(store, root, str(name))
        merged = time.perf_counter()
        with FeatureStore.open(plain, SPACE) as store:
            for batch in batches:
                store.write(batch, {})
        written = time.perf_counter()
    num_rows = num_shards * SHARD_SIZE
    rate, ratio = num_rows / (merged - start), (merged - start) / (written - merged)
    return f"{num_rows:,} rows: {rate:,.0f} merged a second, {ratio:.2f} times as long as writing"


def random_rows(seed: int) -> dict[bytes, Rows]:
    """Return the rows of a shard, by digest."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((SHARD_SIZE, SPACE.dim), dtype=np.float32).astype(SPACE.dtype)
    return {rng.bytes(32): row for row in rows}


if __name__ == "__main__":
    main()
