"""Whether the training facts that an answer is told with are those that it rests on.

    python benchmarks/facts.py                              # the sample graph
    python benchmarks/facts.py --config examples/stamps.yaml --seeds 1

Takes the best new answer to questions of test, and the training fact that is most like each. Trains
again without those facts, and again without as many other facts of the same relations, and prints
by how much the answers' log-odds fall.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from robustness import extract, read, read_config
from torch import Tensor

from flows.configs.pipeline_config import PipelineConfig
from model.evaluation.ranking import known_answers
from model.inputs import with_inverses
from model.prediction.nearest_facts import FactIndex
from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from model.training.train import train
from storage.datasets.graph import Graph, Triples
from storage.features.table import FeatureTable

NUM_ANSWERS = 200
Tables = Mapping[str, FeatureTable]


def main() -> None:
    """Train thrice for every seed and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="mocme-facts-") as name:
        folder = Path(name)
        config = read_config(options.config, options.set, folder)
        extract(config)
        graph, tables = read(config)
        found = [
            drops(config, graph, tables, seed, folder / str(seed)) for seed in range(options.seeds)
        ]
    for index, what in enumerate(("the facts most like them", "other facts of their relations")):
        means = [float(drop[index].mean()) for drop in found]
        lowered = np.mean([float((drop[index] > 0).float().mean()) for drop in found])
        print(
            f"without {what}: log-odds of the answers fall by {np.mean(means):.3f} +- "
            f"{np.std(means):.3f} on average; {lowered:.3f} of them fall"
        )


def drops(
    config: PipelineConfig, graph: Graph, tables: Tables, seed: int, folder: Path
) -> tuple[Tensor, Tensor]:
    """Return how far each answer falls without its nearest fact, and without some other fact."""
    scoring = trained(config, graph, tables, seed, folder / "all")
    heads, relations, answers = best_answers(graph, scoring, seed)
    nearest = nearest_facts(graph, scoring, heads, relations, answers)
    before = log_odds(scoring, heads, relations, answers)
    falls = []
    for name, left_out in (("nearest", nearest), ("others", others_than(graph, nearest, seed))):
        rest = dataclasses.replace(graph, train=without(graph.train, left_out))
        after = trained(config, rest, tables, seed, folder / name)
        falls.append(before - log_odds(after, heads, relations, answers))
        print(f"seed {seed}: without {len(left_out)} facts ({name}): {falls[-1].mean():.3f}")
    return falls[0], falls[1]


def trained(
    config: PipelineConfig, graph: Graph, tables: Tables, seed: int, folder: Path
) -> BlockScoring:
    """Train, and read the scoring."""
    train(graph, tables, config.model, config.train.model_copy(update={"seed": seed}), folder)
    return RunFolder(folder).read_scoring()


def best_answers(graph: Graph, scoring: BlockScoring, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return questions of test, and the best answer to each that neither train nor valid has."""
    questions = np.unique(with_inverses(graph.test, graph.num_relations)[:, :2], axis=0)
    chosen = np.random.default_rng(seed).permutation(questions)[:NUM_ANSWERS]
    heads, relations = torch.from_numpy(chosen).unbind(1)
    scores = scoring.scores(heads, relations)
    known = known_answers(graph, torch.device("cpu"), besides="test")
    scores[known.lookup(heads, relations)] = -torch.inf
    return heads, relations, scores.argmax(1)


def nearest_facts(
    graph: Graph, scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor
) -> Triples:
    """Return the training facts that answers are most like, each once."""
    facts = FactIndex(graph.train, graph.num_relations)
    asks_for_head = relations >= graph.num_relations
    firsts = torch.where(asks_for_head, answers, heads)
    lasts = torch.where(asks_for_head, heads, answers)
    found = set()
    for first, relation, last in zip(firsts, relations % graph.num_relations, lasts, strict=True):
        near = facts.nearest(scoring, int(relation), first[None], last[None], 1)
        found.add((int(near.heads[0, 0]), int(relation), int(near.tails[0, 0])))
    return np.array(sorted(found))


def others_than(graph: Graph, facts: Triples, seed: int) -> Triples:
    """Draw as many other training facts of the same relations."""
    generator, drawn = np.random.default_rng(seed), []
    rest = without(np.unique(graph.train, axis=0), facts)
    for relation, count in zip(*np.unique(facts[:, 1], return_counts=True), strict=True):
        drawn.append(generator.permutation(rest[rest[:, 1] == relation])[:count])
    return np.concatenate(drawn)


def without(triples: Triples, left_out: Triples) -> Triples:
    """Return the triples that are not left out."""
    gone = set(map(tuple, left_out.tolist()))
    return triples[[tuple(triple) not in gone for triple in triples.tolist()]]


def log_odds(scoring: BlockScoring, heads: Tensor, relations: Tensor, answers: Tensor) -> Tensor:
    """Return the log-odds of answers among all entities, as trained, not calibrated."""
    logits = scoring.scores(heads, relations)
    own = logits.gather(1, answers[:, None])
    logits.scatter_(1, answers[:, None], -torch.inf)
    return own[:, 0] - logits.logsumexp(1)


if __name__ == "__main__":
    main()
