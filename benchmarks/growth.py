"""What grows with a dataset beside extraction and epochs: reading it, mining rules, merging shards.

    python benchmarks/growth.py --entities 10000 100000 1000000 --relations 100 1000 --rows 100000

Reading is `read_dataset` of entities with one short text and two triples each. Rules are mined from
two random triples an entity, the tails of which are some entities far more often than others, and
100 random questions are then answered by them. Each is measured in a process of its own; memory is
that process's peak. Merging moves shards of 4,096 rows of 512 float16 into a store; beside it the
same rows are written to a store at once, in transactions of as many.
"""

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from storage.datasets.dataset import read_dataset
from storage.datasets.graph import Graph
from storage.features.block import Rows
from storage.features.shards import merge_shard, shard_folder
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore

SPACE = FeatureSpace("benchmark", {}, 512, "float16")
SHARD_SIZE = 4096
NUM_QUESTIONS = 100


def main() -> None:
    """Measure and print, or be one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--relations", type=int, nargs="+", default=[100])
    parser.add_argument("--rows", type=int, default=40_960)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mine", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(measure_reading(options.read))
    elif options.mine:
        print(measure_mining(*options.mine))
    else:
        for num_entities in options.entities:
            print(apart("--read", num_entities), flush=True)
        for sizes in itertools.product(options.entities, options.relations):
            print(apart("--mine", *sizes), flush=True)
        print(measure_merging(-(-options.rows // SHARD_SIZE)))


def apart(what: str, *sizes: int) -> str:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, what, *map(str, sizes)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_reading(num_entities: int) -> str:
    """Write a dataset and read it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_dataset(root, num_entities)
        start = time.perf_counter()
        dataset = read_dataset(root)
        seconds = time.perf_counter() - start
    return f"{len(dataset.entities):,} entities: read in {seconds:.2f} s, {peak_mib():.0f} MiB"


def measure_mining(num_entities: int, num_relations: int) -> str:
    """Mine rules and ask by them."""
    import torch  # here, since it would count as memory of reading

    from model.rules.rule_block import RuleBlock

    rng = np.random.default_rng(0)
    num_triples = 2 * num_entities
    heads = rng.integers(num_entities, size=num_triples)
    relations = rng.integers(num_relations, size=num_triples)
    tails = (num_entities * rng.random(num_triples) ** 3).astype(np.int64)
    triples = np.stack([heads, relations, tails], axis=1)
    names = tuple(map(str, range(num_entities)))
    graph = Graph(names, names, names[:num_relations], triples, triples[:0], triples[:0])
    start = time.perf_counter()
    block = RuleBlock.mined(graph, 3, torch.device("cpu"))
    mined = time.perf_counter()
    for question in torch.from_numpy(triples[:NUM_QUESTIONS, :2]):
        block.scores(*question.split(1))
    asked = (time.perf_counter() - mined) / NUM_QUESTIONS
    return (
        f"{num_entities:,} entities, {num_relations:,} relations: {len(block.rules.heads):,} rules "
        f"mined in {mined - start:.1f} s, a question {asked * 1000:.0f} ms, {peak_mib():.0f} MiB"
    )


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
