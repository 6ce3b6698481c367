"""What rules add to a trained model: MRR on valid without any, and with bodies of 1 to 3 facts.

    python benchmarks/rules.py
    python benchmarks/rules.py RUN...

RUN is the folder of a finished run, or the `selection` in it where valid was carved out of train;
without any, the sample graph's. The weights of blocks are fitted on one half of valid and the other
half is ranked, both ways round, so what is compared was not fitted. The rules are mined here,
whether the run has any or not; the rest of the model is as it was trained. Of test nothing is read
but what filtering leaves out.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from extractors.sample import write_sample
from flows.configs.pipeline_config import load_config
from flows.local_runs import open_flow
from flows.stages.run_record import start_record
from model.evaluation.ranking import known_answers, rank
from model.inputs import with_inverses
from model.rules.rule_block import RuleBlock
from model.runs.run_folder import RunFolder
from model.scoring.block import Block
from model.scoring.block_weights import fit_block_weights
from model.scoring.blocks import BlockScoring
from model.scoring.calibration import Calibration
from storage.datasets.graph import Graph, Triples

CPU = torch.device("cpu")


def main() -> None:
    """Compare, and print."""
    options = run_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    print("| Run | rules of up to | number | mined, s | fitted and ranked, s | valid MRR |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mocme-rules-") as folder:
        for run in options.runs or [sample_run(Path(folder))]:
            compare(run, options.triples)


def run_parser(description: str) -> argparse.ArgumentParser:
    """Build a parser of runs, and of how many of their valid triples to look at."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--triples", type=int, default=3000, help="of valid; of more, a sample")
    return parser


def sample_run(folder: Path, settings: Sequence[str] = ()) -> Path:
    """Train on the sample graph, with some settings changed, and return the run's folder."""
    write_sample(folder / "sample")
    record = start_record()
    with open_flow("train") as flow:
        flow(load_config(folder / "sample" / "mocme.yaml", ["train.final=selected", *settings]))
    if record.run_dir is None:
        raise SystemExit(record.error)
    return record.run_dir


def compare(run: Path, num_triples: int) -> None:
    """Print a row for every length of rules."""
    folder = RunFolder(run)
    graph, scoring = folder.read_graph(), folder.read_scoring(CPU)
    chosen = np.random.default_rng(0).permutation(graph.valid)[:num_triples]
    for longest in range(4):
        started = time.perf_counter()
        blocks: list[Block] = [*scoring.encoded]
        if longest:
            blocks.append(RuleBlock.mined(graph, longest, CPU))
        mined = time.perf_counter() - started
        mrr = halves_mrr(blocks, graph, chosen)
        rest = time.perf_counter() - started - mined
        number = len(blocks[-1].rules.heads) if isinstance(blocks[-1], RuleBlock) else 0
        numbers = f"{number} | {mined:.1f} | {rest:.1f} | {mrr:.4f}"
        print(f"| {run} | {longest} | {numbers} |", flush=True)


def halves_mrr(blocks: Sequence[Block], graph: Graph, triples: Triples) -> float:
    """Return the MRR of both halves of some triples, each by weights fitted on the other."""
    known = known_answers(graph, CPU)
    halves = triples[::2], triples[1::2]
    found = []
    for fitted, asked in (halves, halves[::-1]):
        questions = torch.from_numpy(with_inverses(fitted, graph.num_relations))
        weights = fit_block_weights(blocks, questions, known)
        scoring = BlockScoring(blocks, weights, Calibration.none(graph.num_relations))
        ranking = rank(scoring, asked, known)
        found += [1 / ranking.tail_ranks, 1 / ranking.head_ranks]
    return float(np.concatenate(found).mean())


if __name__ == "__main__":
    main()
