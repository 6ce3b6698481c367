"""How fusions bear missing rows, rows of somebody else, and missing triples.

    python benchmarks/robustness.py --out data/robustness
    python benchmarks/robustness.py --config examples/stamps.yaml --seeds 3 --out data/robustness

Extracts by a config (by default the sample graph's), then trains with a share of every modality's
rows left out, a share of them exchanged for those of other entities (noise with the right marginal
distribution), or a share of the training triples left out. Prints test MRR as mean and deviation
over seeds, draws OUT/robustness.svg, writes OUT/robustness.csv.
"""

import argparse
import csv
import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from extractors.extraction import extract_modality
from extractors.sample import write_sample
from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.inputs import plan_modality
from model.evaluation.evaluate import evaluate_run
from model.training.train import train
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import Graph
from storage.features.store import FeatureStore
from storage.features.table import FeatureTable

KINDS = ("missing rows", "rows of others", "missing triples")
Data = tuple[Graph, Mapping[str, FeatureTable]]


class Job(NamedTuple):
    """One training."""

    kind: str
    share: float
    fusion: str
    seed: int

    def first_alike(self) -> "Job":
        """Return the job that stands for all that damage nothing, or this one."""
        return self if self.share else self._replace(kind=KINDS[0])


def main() -> None:
    """Extract, train, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--fusions", nargs="+", default=["cmkf", "sum", "attention", "late"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0, 0.2, 0.4, 0.6, 0.8])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("data/robustness"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mocme-robustness-") as folder:
        settings = read_config(options.config, options.set, Path(folder))
        extract(settings)
        damages = product(KINDS, options.shares, options.fusions, range(options.seeds))
        jobs = list(dict.fromkeys(Job(*damage).first_alike() for damage in damages))
        workers = ProcessPoolExecutor(options.processes, get_context("spawn"), initializer=prepare)
        with workers as pool:
            found = pool.map(learn, [settings] * len(jobs), jobs)
            mrrs = dict(zip(jobs, found, strict=True))
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "robustness.csv", mrrs)
    tell(mrrs, options.shares, options.fusions, options.seeds)
    draw(options.out / "robustness.svg", mrrs, options.shares, options.fusions, options.seeds)


def prepare() -> None:
    """Let a process take one thread, since there are as many processes as cores."""
    torch.set_num_threads(1)


def read_config(path: Path | None, settings: Sequence[str], folder: Path) -> PipelineConfig:
    """Read a config, or that of a sample written to a folder, without a final model by default."""
    if path is None:
        write_sample(folder / "sample")
        path = folder / "sample" / "mocme.yaml"
    return load_config(path, ["train.final=selected", *settings])


def extract(config: PipelineConfig) -> None:
    """Store the features of every modality."""
    dataset = read_dataset(config.dataset, config.split_salt)
    for name in config.modalities:
        extract_modality(dataset, plan_modality(config, name), config.store, config.extract)


def read(config: PipelineConfig) -> Data:
    """Read the graph and the stored features."""
    dataset = read_dataset(config.dataset, config.split_salt)
    tables = {}
    for name, entry in config.modalities.items():
        plan = plan_modality(config, name)
        found = extract_modality(dataset, plan, config.store, config.extract)  # all are stored
        with FeatureStore.open_readonly(found.store_directory) as store:
            tables[name] = FeatureTable.read(
                store, dataset.graph.num_entities, found.references, entry.max_items
            )
    return dataset.graph, tables


def learn(config: PipelineConfig, job: Job) -> float:
    """Train on damaged data; return the test MRR."""
    graph, tables = damaged(*read(config), job)
    model = config.model.model_copy(update={"fusion": job.fusion})
    training = config.train.model_copy(update={"seed": job.seed})
    with tempfile.TemporaryDirectory(prefix="mocme-robustness-") as folder:
        train(graph, tables, model, training, Path(folder))
        mrr: float = evaluate_run(Path(folder))["test"]["mrr"]
    return mrr


def damaged(graph: Graph, tables: Mapping[str, FeatureTable], job: Job) -> Data:
    """Damage the data; alike for every fusion, and the more the larger the share."""
    generator = np.random.default_rng(job.seed)
    if job.kind == "missing triples":
        kept = generator.random(len(graph.train)) >= job.share
        return dataclasses.replace(graph, train=graph.train[kept]), tables
    damage = without_rows if job.kind == "missing rows" else with_rows_of_others
    return graph, {name: damage(table, job.share, generator) for name, table in tables.items()}


def without_rows(table: FeatureTable, share: float, generator: np.random.Generator) -> FeatureTable:
    """Hide a share of the entities that have the modality."""
    hidden = generator.random(len(table.mask)) < share
    return dataclasses.replace(table, mask=table.mask & ~hidden[:, None])


def with_rows_of_others(
    table: FeatureTable, share: float, generator: np.random.Generator
) -> FeatureTable:
    """Exchange the rows of a share of the entities that have the modality among these."""
    chosen = np.flatnonzero(table.present & (generator.random(len(table.mask)) < share))
    target = generator.permutation(chosen)
    source = np.roll(target, 1)
    values, mask = table.values.copy(), table.mask.copy()
    values[target], mask[target] = table.values[source], table.mask[source]
    return dataclasses.replace(table, values=values, mask=mask)


def over_seeds(mrrs: Mapping[Job, float], job: Job, num_seeds: int) -> tuple[float, float]:
    """Return mean and standard deviation over seeds; 0 for one seed."""
    found = [mrrs[job._replace(seed=seed).first_alike()] for seed in range(num_seeds)]
    return float(np.mean(found)), float(np.std(found, ddof=1)) if num_seeds > 1 else 0.0


def tell(
    mrrs: Mapping[Job, float], shares: Sequence[float], fusions: Sequence[str], num_seeds: int
) -> None:
    """Print a row for each kind of damage and fusion."""
    print(f"| Damage | Fusion | {' | '.join(f'{share:.0%}' for share in shares)} |")
    print(f"|---|---|{'---|' * len(shares)}")
    for kind, fusion in product(KINDS, fusions):
        cells = [over_seeds(mrrs, Job(kind, share, fusion, 0), num_seeds) for share in shares]
        numbers = " | ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in cells)
        print(f"| {kind} | {fusion} | {numbers} |")


def write_table(path: Path, mrrs: Mapping[Job, float]) -> None:
    """Write a row for each training."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*Job._fields, "test_mrr"])
        writer.writerows([*job, mrr] for job, mrr in mrrs.items())


def draw(
    path: Path,
    mrrs: Mapping[Job, float],
    shares: Sequence[float],
    fusions: Sequence[str],
    num_seeds: int,
) -> None:
    """Draw test MRR against the share, a panel for each kind of damage."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "robustness", "font.size": 9})
    figure = Figure(figsize=(10, 3), layout="constrained")
    percents = [100 * share for share in shares]
    for panel, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        for fusion in fusions:
            cells = [over_seeds(mrrs, Job(kind, share, fusion, 0), num_seeds) for share in shares]
            means, spreads = (np.array(column) for column in zip(*cells, strict=True))
            width = 2.2 if fusion == "cmkf" else 1.2
            (line,) = panel.plot(percents, means, marker=".", linewidth=width, label=fusion)
            panel.fill_between(
                percents, means - spreads, means + spreads, alpha=0.15, color=line.get_color()
            )
        panel.set(title=kind, xlabel="%", ylim=(0, None))
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[0].set_ylabel("test MRR")
    figure.legend(handles, labels, loc="outside lower center", ncols=len(fusions), frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
