"""What many questions cost together, one at a time, and as bare scores.

    python benchmarks/questions.py
    python benchmarks/questions.py RUN --questions 2000

RUN is the folder of a finished run; without one, embeddings are drawn for a graph of 15,000
entities, without rules. Questions are drawn from its triples, both sides alike. All are answered on
one thread, one way after the other, each once:

- bare scoring: the scores of all entities, 512 questions at once, and the k best of them;
- together: `Predictor.answers_to`, with evidence (nearest facts and rules) and without;
- one at a time: `Predictor.answers`, of which a tenth is measured.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from model.config import STRUCTURE
from model.encoded_block import EncodedBlock
from model.inputs import with_inverses
from model.prediction.predictor import Predictor
from model.prediction.questions import Question
from model.probability.held_out import as_calibrated
from model.runs.run_folder import RunFolder
from model.scorers import build_scorer
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Lines
from storage.datasets.graph import Graph, Triples

_ENTITIES, _RELATIONS, _TRIPLES, _DIM = 15_000, 50, 30_000, 200
_AT_ONCE = 512
_SHARE_OF_SINGLES = 10


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("-k", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mocme-questions-") as folder:
        run = options.run or drawn_run(Path(folder))
        started = time.perf_counter()
        predictor = Predictor(run)
        print(f"start-up: {time.perf_counter() - started:.1f} s")
        compare(predictor, options.questions, options.k)


def drawn_run(folder: Path) -> Path:
    """Write a run whose embeddings are drawn and not learned."""
    generator = np.random.default_rng(0)
    sizes = [_ENTITIES, _RELATIONS, _ENTITIES]
    triples = generator.integers(0, sizes, (_TRIPLES, 3))
    ids = tuple(f"entity-{row}" for row in range(_ENTITIES))
    relations = tuple(f"relation_{row}" for row in range(_RELATIONS))
    graph = Graph(ids, ids, relations, triples[2000:], triples[:1000], triples[1000:2000])
    scorer = build_scorer("complex", _DIM)
    block = EncodedBlock(
        STRUCTURE,
        torch.randn(_ENTITIES, _DIM),
        torch.randn(2 * _RELATIONS, scorer.relation_dim),
        torch.ones(_ENTITIES, dtype=torch.bool),
        scorer,
        (STRUCTURE,),
        torch.ones(_ENTITIES, 1),
        torch.ones(1, 1),
    )
    calibration = as_calibrated(graph, Lines.identity(_RELATIONS))
    scoring = BlockScoring([block], torch.ones(2 * _RELATIONS, 1), calibration)
    run = RunFolder(folder / "run")
    run.create(graph)
    scoring.save(run.scoring)
    run.finish({})
    return folder / "run"


def compare(predictor: Predictor, num_questions: int, k: int) -> None:
    """Print a row for every way."""
    rows = drawn_questions(predictor.graph, num_questions)
    questions = [as_question(predictor.graph, *row) for row in rows.tolist()]
    singles = questions[::_SHARE_OF_SINGLES]
    bare = seconds_of(lambda: score(predictor.scoring, rows, k))
    ways: list[tuple[str, int, Callable[[], object]]] = [
        ("together, without evidence", 1, lambda: answered(predictor, questions, k, False)),
        ("together, with evidence", 1, lambda: answered(predictor, questions, k, True)),
        ("one at a time", _SHARE_OF_SINGLES, lambda: one_by_one(predictor, singles, k)),
    ]
    print(f"\n{len(questions)} questions, {predictor.graph.num_entities} entities\n")
    print("| | seconds | times bare scoring |")
    print("|---|---|---|")
    print(f"| bare scoring | {bare:.2f} | 1 |")
    for name, share, way in ways:
        seconds = seconds_of(way) * share
        print(f"| {name} | {seconds:.2f} | {seconds / bare:.1f} |")


def drawn_questions(graph: Graph, number: int) -> Triples:
    """Draw questions from a graph's triples: entity, relation (R more for heads), answer."""
    both_ways = with_inverses(graph.train, graph.num_relations)
    places = np.random.default_rng(1).integers(0, len(both_ways), number)
    found: Triples = both_ways[places]
    return found


def as_question(graph: Graph, entity: int, relation: int, _: int) -> Question:
    """Return a question by ids."""
    name = graph.relations[relation % graph.num_relations]
    if relation < graph.num_relations:
        return Question(head=graph.entities[entity], relation=name)
    return Question(tail=graph.entities[entity], relation=name)


@torch.inference_mode()
def score(scoring: BlockScoring, rows: Triples, k: int) -> None:
    """Score all questions, those of a relation together, and find the best of each."""
    by_relation = torch.from_numpy(rows[np.argsort(rows[:, 1], kind="stable")])
    for chunk in by_relation.split(_AT_ONCE):
        scoring.scores(chunk[:, 0], chunk[:, 1]).topk(k)


def answered(predictor: Predictor, questions: list[Question], k: int, evidence: bool) -> int:
    """Answer all questions together, and count the answers."""
    found = predictor.answers_to(questions, k=k, evidence=evidence)
    return sum(len(answers) for _, answers in found)


def one_by_one(predictor: Predictor, questions: list[Question], k: int) -> None:
    """Answer some questions, one at a time."""
    for it in questions:
        predictor.answers(head=it.head, relation=it.relation, tail=it.tail, k=k)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long something takes, once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
