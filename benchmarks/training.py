"""Training and ranking side by side with PyKEEN, on one graph.

    python benchmarks/training.py path/to/MKG-Y
    python benchmarks/training.py                       # a generated graph with planted answers

Where valid leaks into train (DB15K), `mocme audit GRAPH --write-clean DIR` makes a graph to use.

Each system runs in a process of its own, one after the other, on the same number of threads:

- PyKEEN trains ComplEx (inverse triples, LCWA, softmax cross-entropy, Adam 5e-3, Xavier) for some
  epochs. Its seconds are those of its training loop alone.
- mocme, without modalities and by default without `context`, trains until its MRR on valid is what
  PyKEEN's is then, and then anew for as many epochs: that run is timed, as PyKEEN, too, need not
  look at valid to know when to stop. Its seconds are all since the call of `train`: writing
  checkpoints, ranking valid at the end and calibrating the scores are included.
- Each ranks test, filtered, both sides, with its own model: the median of some repeats, the
  preparation of the filter included. The MRR of test is read here and nowhere else.

Ratios are PyKEEN's seconds over ours.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.utils.tensorboard  # here, as imports count for neither
import yaml
from pykeen.evaluation import RankBasedEvaluator
from pykeen.losses import CrossEntropyLoss
from pykeen.models import ComplEx
from pykeen.training import LCWATrainingLoop
from pykeen.triples import CoreTriplesFactory

from model.config import ModelConfig, TrainConfig
from model.evaluation.ranking import known_answers, rank
from model.runs.epoch_report import EpochReport
from model.runs.run_folder import RunFolder
from model.training.train import train
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import SPLITS, Graph, Triples
from storage.datasets.split import split_triples

PYKEEN_MRR = "both.realistic.inverse_harmonic_mean_rank"
NUM_GROUPS = 20
ONE_MODEL = {"device": "cpu", "final": "selected"}  # no training on valid and test after it


class _Reached(Exception):  # noqa: N818
    """The valid MRR asked for has been reached."""


def main() -> None:
    """Measure and print, or be one of the two systems."""
    options = _parser().parse_args()
    if options.role:
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        print(json.dumps(SYSTEMS[options.role](_graph(options), options)))
        return
    _print_graph(options)
    pairs = [_side_by_side(options, seed) for seed in range(options.repeats)]
    if len(pairs) > 1:
        for part in ("training", "ranking"):
            ratios = [pair[part] for pair in pairs]
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{part}, median of {shown}: {median(ratios):.2f}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("graph", nargs="?", type=Path, help="a dataset folder")
    parser.add_argument("--entities", type=int, default=2000, help="of the generated graph")
    parser.add_argument("--relations", type=int, default=10, help="of the generated graph")
    parser.add_argument("--triples", type=int, default=20_000, help="of the generated graph")
    parser.add_argument("--repeats", type=int, default=1, help="pairs of runs, a seed each")
    parser.add_argument("--ranking-repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--pykeen-epochs", type=int, default=4)
    parser.add_argument("--pykeen-dim", type=int, default=200, help="complex numbers a row")
    parser.add_argument("--pykeen-batch", type=int, default=256)
    parser.add_argument("--max-epochs", type=int, default=50, help="mocme gives up after these")
    setting = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("--model", help="mocme's `model` section", **setting)
    parser.add_argument("--train", help="mocme's `train` section", **setting)
    parser.add_argument("--role", choices=sorted(SYSTEMS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser


def _side_by_side(options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run both systems, print what they say, and return the ratios of their seconds."""
    theirs = _run("pykeen", seed)
    _print_system("PyKEEN", theirs)
    ours = _run("mocme", seed, f"--target={theirs['valid_mrr']!r}")
    _print_system("mocme", ours)
    if ours["valid_mrr"] < theirs["valid_mrr"]:
        print(f"mocme did not reach PyKEEN's MRR on valid in {options.max_epochs} epochs")
    ratios = {
        part: theirs[f"{part}_seconds"] / ours[f"{part}_seconds"]
        for part in ("training", "ranking")
    }
    print(f"PyKEEN / mocme: training {ratios['training']:.2f}, ranking {ratios['ranking']:.2f}")
    return ratios


def _run(role: str, seed: int, *more: str) -> dict[str, Any]:
    """Run one system in a fresh process with this one's arguments; return what it measured."""
    command = [sys.executable, *sys.argv, f"--role={role}", f"--seed={seed}", *more]
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _pykeen(graph: Graph, options: argparse.Namespace) -> dict[str, Any]:
    """Train PyKEEN for the epochs given, and rank."""
    logging.getLogger("torch_max_mem").setLevel(logging.ERROR)  # it warns of every CPU
    factory = CoreTriplesFactory(
        torch.from_numpy(np.unique(graph.train, axis=0)),
        num_entities=graph.num_entities,
        num_relations=graph.num_relations,
        create_inverse_triples=True,
    )
    model = _pykeen_model(factory, options)
    optimizer = torch.optim.Adam(model.get_grad_params(), lr=5e-3)
    loop = LCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=optimizer,
        automatic_memory_optimization=False,  # which would train on trial first
    )
    started = time.perf_counter()
    loop.train(
        factory,
        num_epochs=options.pykeen_epochs,
        batch_size=options.pykeen_batch,
        use_tqdm=False,
        pin_memory=False,
    )
    seconds = time.perf_counter() - started

    def ranked(triples: Triples) -> float:
        splits = [torch.from_numpy(part) for part in (graph.train, graph.valid, graph.test)]
        results = RankBasedEvaluator(filtered=True).evaluate(
            model,
            torch.from_numpy(triples),
            batch_size=options.pykeen_batch,
            additional_filter_triples=splits,
            use_tqdm=False,
        )
        return float(results.get_metric(PYKEEN_MRR))

    return {
        "rows": f"{options.pykeen_dim} complex numbers",
        "epochs": options.pykeen_epochs,
        "training_seconds": seconds,
        **_ranked(ranked, graph, options),
    }


def _pykeen_model(factory: CoreTriplesFactory, options: argparse.Namespace) -> ComplEx:
    return ComplEx(
        triples_factory=factory,
        embedding_dim=options.pykeen_dim,
        loss=CrossEntropyLoss(),
        entity_initializer="xavier_uniform",
        relation_initializer="xavier_uniform",
        regularizer=None,
        random_seed=options.seed,
    )


def _mocme(graph: Graph, options: argparse.Namespace) -> dict[str, Any]:
    """Find out how many epochs the MRR asked for takes, train as many, and rank."""
    model = ModelConfig.model_validate({"context": False, **_settings(options.model)})
    epochs = _epochs_to_target(graph, model, options)
    setting = {"epochs": epochs, "eval_every": epochs, "seed": options.seed, **ONE_MODEL}
    config = TrainConfig.model_validate({**setting, **_settings(options.train)})
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(graph, {}, model, config, Path(folder))
        seconds = time.perf_counter() - started
        scoring = RunFolder(Path(folder)).read_scoring()

    def ranked(triples: Triples) -> float:
        return rank(scoring, triples, known_answers(graph, torch.device("cpu"))).metrics()["mrr"]

    return {
        "rows": f"{model.scorer}, {model.dim} numbers",
        "epochs": epochs,
        "training_seconds": seconds,
        **_ranked(ranked, graph, options),
    }


def _epochs_to_target(graph: Graph, model: ModelConfig, options: argparse.Namespace) -> int:
    """Return the first epoch after which the MRR on valid is what was asked for, or the last."""
    reports: list[EpochReport] = []

    def stop_at_target(report: EpochReport) -> None:
        reports.append(report)
        if (report.valid_mrr or 0.0) >= options.target:
            raise _Reached

    setting = {"epochs": options.max_epochs, "eval_every": 1, "seed": options.seed, **ONE_MODEL}
    config = TrainConfig.model_validate({**setting, **_settings(options.train)})
    with tempfile.TemporaryDirectory() as folder, suppress(_Reached):
        train(graph, {}, model, config, Path(folder), stop_at_target)
    return reports[-1].epoch


SYSTEMS: Mapping[str, Callable[[Graph, argparse.Namespace], dict[str, Any]]] = {
    "pykeen": _pykeen,
    "mocme": _mocme,
}


def _ranked(
    ranked: Callable[[Triples], float], graph: Graph, options: argparse.Namespace
) -> dict[str, Any]:
    """Rank valid once and test several times; return the MRRs and the median seconds of test."""
    valid_mrr, seconds = ranked(graph.valid), []
    for _ in range(options.ranking_repeats):
        started = time.perf_counter()
        test_mrr = ranked(graph.test)
        seconds.append(time.perf_counter() - started)
    return {
        "valid_mrr": valid_mrr,
        "test_mrr": test_mrr,
        "ranking_seconds": median(seconds),
        "threads": torch.get_num_threads(),
    }


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Parse KEY=VALUE, the value written as YAML."""
    parts = (setting.partition("=") for setting in given)
    return {key: yaml.safe_load(value) for key, _, value in parts}


def _graph(options: argparse.Namespace) -> Graph:
    if options.graph:
        return read_dataset(options.graph).graph
    return planted_graph(options.entities, options.relations, options.triples)


def planted_graph(num_entities: int, num_relations: int, num_triples: int) -> Graph:
    """Draw a graph in which the tail's group follows from the head's group and the relation.

    A group's first entities are its tails most often, so that some answers are much likelier.
    """
    generator = np.random.default_rng(0)
    group_of_tail = generator.integers(NUM_GROUPS, size=(num_relations, NUM_GROUPS))
    group_size = num_entities // NUM_GROUPS
    heads = generator.integers(group_size * NUM_GROUPS, size=num_triples)
    relations = generator.integers(num_relations, size=num_triples)
    members = (group_size * generator.random(num_triples) ** 12).astype(np.int64)
    tails = group_of_tail[relations, heads // group_size] * group_size + members
    triples = np.unique(np.stack([heads, relations, tails], axis=1), axis=0)
    entities = tuple(str(row) for row in range(num_entities))
    relations = tuple(str(row) for row in range(num_relations))
    return Graph(entities, entities, relations, *split_triples(triples, entities, relations))


def _print_graph(options: argparse.Namespace) -> None:
    graph = _graph(options)
    sizes = ", ".join(f"{len(graph.split(name))} {name}" for name in SPLITS)
    print(f"{options.graph or 'generated graph'}: {graph.num_entities} entities, ", end="")
    print(f"{graph.num_relations} relations, triples: {sizes}")


def _print_system(name: str, measured: Mapping[str, Any]) -> None:
    print(
        f"{name} ({measured['rows']}, {measured['threads']} threads): "
        f"{measured['training_seconds']:.1f} s to train, {measured['epochs']} epochs, "
        f"{measured['ranking_seconds']:.2f} s to rank test; "
        f"MRR valid {measured['valid_mrr']:.4f}, test {measured['test_mrr']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
