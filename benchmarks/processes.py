"""Seconds of a training step by processes and threads, on random graphs.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/processes.py
    python benchmarks/processes.py --entities 100000 --negatives sampled --rounds 5

One process of one thread, two processes of one each, one process of two: one after the other, in
rounds, so that whatever else the machine does meets all of them (with `PASSIVE`, threads that wait
leave the cores to it). A round's seconds are those of a later epoch by its steps; the first epoch,
in which memory is laid out, is not counted. Structure alone divides nearly all of its work; a
modality is encoded in every process.
"""

import argparse
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
import torch

from model.config import ModelConfig, TrainConfig
from model.runs.epoch_report import EpochReport
from model.training.train import train
from storage.datasets.graph import Graph
from storage.features.table import FeatureTable

NUM_RELATIONS = 20
SETTINGS = {(1, 1): "1 x 1", (2, 1): "2 x 1", (1, 2): "1 x 2"}
"""Processes and threads of each."""


def main() -> None:
    """Measure and print a table."""
    options = _parser().parse_args()
    graph = _random_graph(options)
    values = np.random.default_rng(1).standard_normal((options.entities, 1, options.feature_dim))
    everyone = np.ones((options.entities, 1), dtype=np.bool_)
    table = FeatureTable(values.astype(np.float32), everyone, "dense")
    print(
        f"{options.batch} questions a step, {options.entities:,} entities, width {options.dim}, "
        f"negatives {options.negatives}, {options.dtype}; medians of {options.rounds} rounds\n"
    )
    print("| Learnt from | " + " | ".join(f"{it}, s a step" for it in SETTINGS.values()) + " |")
    print("|---|" + "---|" * len(SETTINGS))
    for name, tables in (("structure", {}), ("structure, a modality", {"modality": table})):
        found = _rounds(graph, tables, options)
        cells = (f"{median(it):.3f} ({min(it):.3f} to {max(it):.3f})" for it in found.values())
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entities", type=int, default=15_000)
    parser.add_argument("--batch", type=int, default=512, help="questions a step")
    parser.add_argument("--steps", type=int, default=10, help="of an epoch")
    parser.add_argument("--dim", type=int, default=200, help="width of an embedding")
    parser.add_argument("--feature-dim", type=int, default=256)
    parser.add_argument("--negatives", choices=["all", "sampled"], default="all")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def _random_graph(options: argparse.Namespace) -> Graph:
    """Draw as many triples as the steps take, and a few for valid."""
    generator = np.random.default_rng(0)
    num_triples = options.batch // 2 * options.steps
    columns = (options.entities, NUM_RELATIONS, options.entities)
    drawn = [generator.integers(size, size=num_triples + 10) for size in columns]
    triples = np.stack(drawn, axis=1)
    entities = tuple(map(str, range(options.entities)))
    relations = tuple(map(str, range(NUM_RELATIONS)))
    return Graph(entities, entities, relations, triples[10:], triples[:10], triples[:0])


def _rounds(
    graph: Graph, tables: dict[str, FeatureTable], options: argparse.Namespace
) -> dict[tuple[int, int], list[float]]:
    """Return each setting's seconds a step, a number a round."""
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for processes, threads in SETTINGS:
            torch.set_num_threads(processes * threads)  # divided among several processes
            seconds = _seconds_of_an_epoch(graph, tables, options, processes)
            found[processes, threads].append(seconds / options.steps)
    return found


def _seconds_of_an_epoch(
    graph: Graph, tables: dict[str, FeatureTable], options: argparse.Namespace, processes: int
) -> float:
    """Train into a folder that is thrown away, and stop before the epoch that is evaluated."""
    seconds = []

    def after_epoch(report: EpochReport) -> None:
        seconds.append(report.seconds)
        if report.epoch == 3:
            raise _EnoughEpochs

    config = TrainConfig.model_validate(
        {
            "epochs": 5,
            "eval_every": 5,
            "batch_size": options.batch,
            "negatives": {"mode": options.negatives},
            "held_back": 0,
            "dtype": options.dtype,
            "device": "cpu",
            "processes": processes,
        }
    )
    with tempfile.TemporaryDirectory() as folder, suppress(_EnoughEpochs):
        model = ModelConfig(dim=options.dim, context=False)
        train(graph, tables, model, config, Path(folder), after_epoch)
    return median(seconds[1:])


class _EnoughEpochs(Exception):  # noqa: N818
    """As many epochs as are measured are over."""


if __name__ == "__main__":
    main()
