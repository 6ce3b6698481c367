"""How well entities are answered that were placed after a training, on both sides.

    python benchmarks/placing.py                                     # the sample graph
    python benchmarks/placing.py --config examples/stamps.yaml --set train.epochs=10

Entities with 2 to 20 facts are taken out of the graph with all of their facts. A model is trained
on the rest, and the entities are placed with half of their facts: the given ones. Ranks are
filtered. In `asks`, the entity is in the query: (entity, relation, ?). In `is the answer`, it is
what is to be found: (?, relation, other). Given facts show whether what is known is found at all,
the other half what follows from them. Beside it: the same entities placed without any fact, and a
model that is trained with the given facts, with the same valid split.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from robustness import extract, read, read_config

from flows.configs.pipeline_config import PipelineConfig
from model.evaluation.ranking import rank, rank_metrics
from model.inputs import KnownTails, with_inverses
from model.prediction.placing import Arrivals, arrivals, place
from model.runs.run_folder import RunFolder
from model.training.train import train
from storage.datasets.graph import SPLITS, Graph, Triples
from storage.features.table import FeatureTable

Tables = Mapping[str, FeatureTable]
MIN_FACTS, MAX_FACTS = 2, 20
"""Of an entity that is taken out: a newcomer is no hub that others were learned by."""


class Parts(NamedTuple):
    """A graph without some entities, and their facts.

    Attributes:
        before: The graph without them.
        is_new: Which entities of the whole graph were taken out. Shape: (E,).
        given: Facts that they are placed with, by rows of the whole graph. Shape: (any, 3).
        held_out: Their other facts. Shape: (any, 3).
    """

    before: Graph
    is_new: NDArray[np.bool_]
    given: Triples
    held_out: Triples


def main() -> None:
    """Take entities out, train, place, rank and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--entities", type=int, default=100, help="how many are taken out")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="mocme-placing-") as name:
        folder = Path(name)
        config = read_config(options.config, options.set, folder)
        if not config.dataset.exists():
            print(f"skipped: {config.dataset} is not there")
            return
        extract(config)
        graph, tables = read(config)
        parts = take_out(graph, options.entities, options.seed)
        print(
            f"{parts.is_new.sum()} of {graph.num_entities} entities are new; "
            f"facts given: {len(parts.given)}, held out: {len(parts.held_out)}"
        )
        measure(config, graph, tables, parts, folder)


def take_out(graph: Graph, num_new: int, seed: int) -> Parts:
    """Draw entities to take out, and half of the facts of each."""
    generator = np.random.default_rng(seed)
    facts = np.unique(np.concatenate([graph.split(name) for name in SPLITS]), axis=0)
    num_facts = np.bincount(facts[:, [0, 2]].ravel(), minlength=graph.num_entities)
    candidates = np.flatnonzero((num_facts >= MIN_FACTS) & (num_facts <= MAX_FACTS))
    new = generator.permutation(candidates)[:num_new]
    is_new = np.zeros(graph.num_entities, dtype=bool)
    is_new[new] = True
    is_open = np.ones(len(facts), dtype=bool)
    is_given = np.zeros(len(facts), dtype=bool)
    for entity in new:
        own = np.flatnonzero(is_open & (facts[:, [0, 2]] == entity).any(axis=1))
        is_given[generator.permutation(own)[: -(-len(own) // 2)]] = True
        is_open[own] = False
    return Parts(
        without_entities(graph, is_new), is_new, facts[is_given], facts[~is_given & ~is_open]
    )


def without_entities(graph: Graph, is_new: NDArray[np.bool_]) -> Graph:
    """Leave out entities and every triple that names them."""
    old = np.flatnonzero(~is_new)
    rows = np.cumsum(~is_new) - 1

    def kept(triples: Triples) -> Triples:
        stays = triples[~is_new[triples[:, [0, 2]]].any(axis=1)]
        return np.stack([rows[stays[:, 0]], stays[:, 1], rows[stays[:, 2]]], axis=1)

    return Graph(
        tuple(graph.entities[row] for row in old),
        tuple(graph.names[row] for row in old),
        graph.relations,
        kept(graph.train),
        kept(graph.valid),
        kept(graph.test),
    )


def measure(
    config: PipelineConfig, graph: Graph, tables: Tables, parts: Parts, folder: Path
) -> None:
    """Print the ranks of entities that were placed, and of the same when trained with them."""
    found = arrivals(parts.before, dataclasses.replace(graph, train=parts.given))
    order = np.concatenate([np.flatnonzero(~parts.is_new), np.flatnonzero(parts.is_new)])
    later = {name: rows_of(table, order) for name, table in tables.items()}
    earlier = {name: rows_of(table, order[: found.num_known]) for name, table in tables.items()}
    started = time.perf_counter()
    train(parts.before, earlier, config.model, config.train, folder / "before")
    trained = time.perf_counter()
    placed = place_with(config, found, later, folder, "with their facts")
    seconds = time.perf_counter() - trained
    alone = dataclasses.replace(found, facts=found.facts[:0])
    features = place_with(config, alone, later, folder, "by features alone")
    grown = dataclasses.replace(found.graph, train=np.concatenate([found.graph.train, found.facts]))
    train(grown, later, config.model, config.train, folder / "trained")
    everything = np.concatenate([graph.split(name) for name in SPLITS])
    runs = {
        "placed by features alone": features,
        "placed with given facts": placed,
        "trained with given facts": folder / "trained",
    }
    known = translated(everything, order)
    asked = {
        "given": found.facts,
        "held out": translated(parts.held_out, order),
    }
    print_table(runs, asked, known, found)
    print(f"\nplacing / training without them: {seconds / (trained - started):.3f} in seconds")


def rows_of(table: FeatureTable, rows: NDArray[np.int64]) -> FeatureTable:
    """Take some entities' rows, in an order."""
    return dataclasses.replace(table, values=table.values[rows], mask=table.mask[rows])


def translated(triples: Triples, order: NDArray[np.int64]) -> Triples:
    """Return triples by the rows of a graph with the same entities in another order."""
    rows = np.argsort(order)
    return np.stack([rows[triples[:, 0]], triples[:, 1], rows[triples[:, 2]]], axis=1)


def place_with(
    config: PipelineConfig, found: Arrivals, tables: Tables, folder: Path, name: str
) -> Path:
    """Place entities; return the folder that answers of them."""
    target = folder / name
    place(folder / "before", found, tables, config.model, config.train, target)
    return target


def print_table(
    runs: Mapping[str, Path], asked: Mapping[str, Triples], known: Triples, found: Arrivals
) -> None:
    """Print metrics by run, by facts and by side."""
    num_relations = found.graph.num_relations
    tails = KnownTails(with_inverses(known, num_relations), 2 * num_relations, torch.device("cpu"))
    print("| Facts | Model | Side | ranks | MRR | Hits@1 | Hits@3 | Hits@10 |")
    print("|---|---|---|---|---|---|---|---|")
    for facts, triples in asked.items():
        head_is_new, tail_is_new = (triples[:, side] >= found.num_known for side in (0, 2))
        for name, run in runs.items():
            ranks = rank(RunFolder(run).read_scoring(), triples, tails)
            of_heads, of_tails = ranks.head_ranks, ranks.tail_ranks
            sides = {
                "asks": np.concatenate([of_tails[head_is_new], of_heads[tail_is_new]]),
                "is the answer": np.concatenate([of_heads[head_is_new], of_tails[tail_is_new]]),
            }
            for side, ranks in sides.items():
                metrics = rank_metrics(ranks)
                numbers = [metrics[key] for key in ("mrr", "hits_at_1", "hits_at_3", "hits_at_10")]
                row = (facts, name, side, str(len(ranks)), *(f"{it:.3f}" for it in numbers))
                print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
