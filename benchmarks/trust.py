"""What the number beside an answer is worth: facts that no run saw, and what runs say of them.

    python benchmarks/trust.py                                    # the sample graph
    python benchmarks/trust.py --config examples/stamps.yaml --shares 0.05 0.15 0.3 --seeds 3
    python benchmarks/trust.py --config examples/stamps.yaml --vault heads

A share of a graph's facts is locked away (the vault): drawn at random, or all facts of a relation
that some heads have. mocme splits the rest, trains, and completes the graph, once taking the share
held out to be missing, once the share of the vault. Printed are, for answers above a probability,
how many there are, the mean probability (promised), the share that is in the vault (true), the
share that contradicts a fact of a relation with one answer at most, and the share of the vault that
is among them. Facts that hold and that the dataset lists as stated nowhere (`unstated.tsv`, as the
sample has it) are in the vault, too. Where a graph is not complete then, what is true is a lower
bound.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from robustness import Data, extract, read, read_config

from flows.configs.pipeline_config import PipelineConfig
from model.evaluation.evaluate import evaluate_run
from model.prediction.predictor import Predictor
from model.probability.further_answers import known_triples
from model.training.train import train
from storage.datasets.audit import triple_keys
from storage.datasets.graph import Graph, Triples
from storage.datasets.keys import is_among
from storage.datasets.relation_types.learning import learn_relation_types
from storage.datasets.split import split_triples

ABOVE = (0.3, 0.5, 0.9)
NUM_PREDICTED = 2000  # of a relation
LEAST_SHOWN = 0.02  # probability
Vault = Literal["random", "heads"]


class Answers(NamedTuple):
    """What a run answers. Shapes: (n,)."""

    probabilities: NDArray[np.float64]
    is_true: NDArray[np.bool_]
    contradicts: NDArray[np.bool_]


def main() -> None:
    """Lock facts away, train, complete, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.15])
    parser.add_argument("--vault", choices=["random", "heads"], default="random")
    parser.add_argument("--complete", nargs="+", help="relations that lack nothing; default: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="mocme-trust-") as name:
        folder = Path(name)
        config = read_config(options.config, ["train.final=auto", *options.set], folder)
        extract(config)
        data = read(config)
        unstated = read_unstated(config.dataset, data[0])
        complete = options.complete or data[0].relations
        print(
            "| vault | seed | missing | above | answers | promised | true | contradict | found "
            "| test MRR |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for share in options.shares:
            for seed in range(options.seeds):
                run = folder / f"run-{share}-{seed}"
                vault = lock_away(data[0], unstated, share, options.vault, seed)
                mrr = learn(config, data, vault, seed, run)
                for missing in (None, float(vault[1].mean())):
                    answers = ask(run, data[0], vault, complete, missing)
                    said = "held out" if missing is None else f"{missing:.0%}"
                    tell(answers, int(vault[1].sum()), f"{share:.0%} | {seed} | {said}", mrr)


def read_unstated(dataset: Path, graph: Graph) -> Triples:
    """Return the facts that hold and that a dataset states nowhere, as far as it lists them."""
    path = dataset / "unstated.tsv"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    entities = {entity: row for row, entity in enumerate(graph.entities)}
    relations = {relation: row for row, relation in enumerate(graph.relations)}
    parts = (line.split("\t") for line in lines)
    rows = [(entities[head], relations[relation], entities[tail]) for head, relation, tail in parts]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def lock_away(
    graph: Graph, unstated: Triples, share: float, kind: Vault, seed: int
) -> tuple[Triples, NDArray[np.bool_]]:
    """Return all facts, and which are in the vault: those unstated, and a share of the others."""
    facts, generator = known_triples(graph), np.random.default_rng(seed)
    asked = facts[:, 0] * graph.num_relations + facts[:, 1]
    units = np.arange(len(facts)) if kind == "random" else np.unique(asked, return_inverse=True)[1]
    num_units = int(units.max()) + 1
    drawn = np.zeros(num_units, dtype=np.bool_)
    drawn[generator.permutation(num_units)[: round(share * num_units)]] = True
    hidden = np.concatenate([drawn[units], np.ones(len(unstated), dtype=np.bool_)])
    return np.concatenate([facts, unstated]), hidden


def learn(
    config: PipelineConfig,
    data: Data,
    vault: tuple[Triples, NDArray[np.bool_]],
    seed: int,
    run: Path,
) -> float:
    """Train on what is not in the vault, split by mocme. Returns the MRR on that split's test."""
    (graph, tables), (facts, is_hidden) = data, vault
    split = split_triples(facts[~is_hidden], graph.entities, graph.relations, f"trust {seed}")
    known = dataclasses.replace(
        graph, train=split[0], valid=split[1], test=split[2], split_by_hash=True
    )
    chosen = config.train.model_copy(update={"seed": seed, "select_on": "valid"})
    train(known, tables, config.model, chosen, run)
    mrr: float = evaluate_run(run)["test"]["mrr"]
    return mrr


def ask(
    run: Path,
    graph: Graph,
    vault: tuple[Triples, NDArray[np.bool_]],
    complete: Sequence[str],
    missing_share: float | None,
) -> Answers:
    """Complete the graph by a run, and compare with all facts."""
    facts, is_hidden = vault
    predictor = Predictor(run, missing_share=missing_share)
    found = list(predictor.missing_triples(complete, NUM_PREDICTED, min_probability=LEAST_SHOWN))
    entities = {entity: row for row, entity in enumerate(graph.entities)}
    relations = {relation: row for row, relation in enumerate(graph.relations)}
    rows = [(entities[it.head], relations[it.relation], entities[it.tail]) for it in found]
    triples = np.array(rows, dtype=np.int64).reshape(-1, 3)
    keys, hidden = triple_keys(graph, triples), np.unique(triple_keys(graph, facts[is_hidden]))
    is_true = is_among(keys, hidden)
    contradicts = ~is_true & contradicting(graph, facts, triples)
    return Answers(np.array([it.probability for it in found]), is_true, contradicts)


def contradicting(graph: Graph, facts: Triples, triples: Triples) -> NDArray[np.bool_]:
    """Tell which triples have a head or tail that has its only answer among all facts. (n,)."""
    found = np.zeros(len(triples), dtype=np.bool_)
    types = learn_relation_types(graph)
    for asked, answers in ((0, "tails_per_head"), (2, "heads_per_tail")):
        single = np.array([getattr(it, answers) == "single" for it in types])
        size = graph.num_relations
        answered = np.unique(facts[:, asked] * size + facts[:, 1])
        asks = triples[:, asked] * size + triples[:, 1]
        found |= single[triples[:, 1]] & np.isin(asks, answered)
    return found


def tell(answers: Answers, num_hidden: int, title: str, mrr: float) -> None:
    """Print a line for every probability."""
    for least in ABOVE:
        some = answers.probabilities >= least
        shown = [title, f"{least}", f"{some.sum()}"]
        shown += [f"{it[some].mean():.3f}" if some.any() else "-" for it in answers]
        shown += [f"{answers.is_true[some].sum() / num_hidden:.3f}", f"{mrr:.3f}"]
        print(f"| {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
