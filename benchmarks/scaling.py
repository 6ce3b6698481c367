"""Seconds and memory of a training step by entities, modalities and experts, on random graphs.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --entities 1000000 --mode sampled --batch 512

Sizes vary one at a time around `--base`; each combination is measured in a process of its own, one
after the other. A step is one of `Trainer`'s, of the whole model with all its blocks: forward pass,
loss, backward pass and optimiser. Its seconds are the median of some, from the end of one to the
end of the next. Memory is the peak resident set of the process up to then; libraries, features and
what is measured before the first step are part of it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from model.config import ModelConfig, TrainConfig
from model.runs.run_folder import RunFolder
from model.training.distributed import Processes
from model.training.trainer import Trainer
from storage.datasets.graph import Graph
from storage.features.table import FeatureTable

NUM_RELATIONS = 100
SHARE_PRESENT = 0.7


def main() -> None:
    """Measure and print a table, or be one measurement."""
    options = _parser().parse_args()
    if options.one:
        torch.set_num_threads(options.threads)
        print(json.dumps(_measure(options, *options.one)))
        return
    print(_heading(options))
    print("| Entities | Modalities | Experts | Blocks | Parameters | s a step | Peak memory, GB |")
    print("|---|---|---|---|---|---|---|")
    for sizes in _combinations(options):
        found = _run(sizes)
        numbers = " | ".join(f"{size:,}" for size in sizes)
        print(
            f"| {numbers} | {found['blocks']} | {found['parameters']:,} | {found['seconds']:.2f} | "
            f"{found['peak_kib'] * 1024 / 1e9:.2f} |",
            flush=True,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entities", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--modalities", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--experts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument(
        "--base", type=int, nargs=3, default=[100_000, 1, 1], help="entities, modalities, experts"
    )
    parser.add_argument("--feature-dim", type=int, default=64)
    parser.add_argument("--dim", type=int, default=32, help="width of an embedding")
    parser.add_argument("--triples", type=int, default=2, help="triples an entity")
    parser.add_argument("--batch", type=int, default=64, help="questions a step")
    parser.add_argument("--mode", choices=["all", "sampled"], default="all", help="of negatives")
    parser.add_argument("--negatives", type=int, default=128, help="a question, if sampled")
    parser.add_argument("--alone", action="store_true", help="a block of each modality as well")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", type=int, nargs=3, help=argparse.SUPPRESS)
    return parser


def _heading(options: argparse.Namespace) -> str:
    if options.mode == "all":
        negatives = "all entities are negatives"
    else:
        negatives = f"{options.negatives} sampled negatives a question"
    return (
        f"{options.batch} questions a step, {negatives}; width {options.dim}, "
        f"features of {options.feature_dim}; {options.triples} triples an entity, "
        f"{NUM_RELATIONS} relations; {options.threads} threads\n"
    )


def _combinations(options: argparse.Namespace) -> list[tuple[int, ...]]:
    """All sizes that differ from the base in at most one number, each once."""
    choices = (options.entities, options.modalities, options.experts)
    found = [
        (*options.base[:place], size, *options.base[place + 1 :])
        for place, sizes in enumerate(choices)
        for size in sizes
    ]
    return list(dict.fromkeys(found))


def _run(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Measure in a fresh process with this one's arguments."""
    command = [sys.executable, *sys.argv, "--one", *map(str, sizes)]
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


class _EnoughSteps(Exception):  # noqa: N818
    """As many steps as asked for have been taken."""


def _measure(
    options: argparse.Namespace, num_entities: int, num_modalities: int, num_experts: int
) -> dict[str, Any]:
    """Train for some steps, the first of which is not counted."""
    generator = np.random.default_rng(0)
    graph = random_graph(num_entities, options.triples * num_entities, generator)
    tables = {
        f"modality-{index}": random_table(num_entities, options.feature_dim, generator)
        for index in range(num_modalities)
    }
    model = ModelConfig(dim=options.dim, num_experts=num_experts, alone=options.alone)
    negatives = {"mode": options.mode, "num": options.negatives}
    config = TrainConfig.model_validate(
        {"batch_size": options.batch, "negatives": negatives, "device": "cpu"}
    )
    times: list[float] = []

    def after_step(*_: object) -> None:
        times.append(time.perf_counter())
        if len(times) > options.steps:
            raise _EnoughSteps

    with tempfile.TemporaryDirectory() as folder:
        alone = Processes(torch.device("cpu"))
        trainer = Trainer(graph, tables, model, config, RunFolder(Path(folder)), alone)
        trainer.optimizer.register_step_post_hook(after_step)
        with suppress(_EnoughSteps):
            trainer.run(lambda report: None)
    return {
        "blocks": len(trainer.model.relations),
        "parameters": sum(part.numel() for part in trainer.model.parameters()),
        "seconds": median(after - before for before, after in pairwise(times)),
        "peak_kib": _peak_kib(),
    }


def random_graph(num_entities: int, num_triples: int, generator: np.random.Generator) -> Graph:
    """Draw triples, few of them for valid and none for test."""
    columns = (num_entities, NUM_RELATIONS, num_entities)
    triples = np.stack([generator.integers(size, size=num_triples) for size in columns], axis=1)
    valid, train = np.split(triples, [num_entities // 100])
    entities = tuple(map(str, range(num_entities)))
    relations = tuple(map(str, range(NUM_RELATIONS)))
    return Graph(entities, entities, relations, train, valid, triples[:0])


def random_table(num_entities: int, dim: int, generator: np.random.Generator) -> FeatureTable:
    """Draw a feature vector for some of the entities."""
    values = generator.standard_normal((num_entities, 1, dim), dtype=np.float32)
    return FeatureTable(values, generator.random((num_entities, 1)) < SHARE_PRESENT, "dense")


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
