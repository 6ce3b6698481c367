"""What a second member adds to a model: MRR on valid of two trainings, of both, and of parts.

    python benchmarks/ensemble.py
    python benchmarks/ensemble.py RUN RUN

A RUN is as in benchmarks/rules.py; the two differ in `train.seed` alone, and without any they are
trained on the sample graph. Blocks of both are put side by side, as `model.ensemble_size: 2` would
put those of one run; the first run's rules, if it has any, are there always. Weights are fitted on
one half of valid and the other half is ranked, both ways round.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rules import CPU, halves_mrr, run_parser, sample_run

from model.encoded_block import EncodedBlock
from model.runs.run_folder import RunFolder
from model.scoring.block import Block


def main() -> None:
    """Compare, and print."""
    parser = run_parser(__doc__)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mocme-ensemble-") as folder:
        runs = options.runs or [
            sample_run(Path(folder, str(seed)), [f"train.seed={seed}"]) for seed in range(2)
        ]
        if len(runs) != 2:
            parser.error(f"found {len(runs)} runs; allowed: two, or none")
        first, second = map(RunFolder, runs)
        compare(first, second, options.triples)


def compare(one: RunFolder, other: RunFolder, num_triples: int) -> None:
    """Print a row for each choice of blocks."""
    graph, first, second = one.read_graph(), one.read_scoring(CPU), other.read_scoring(CPU)
    if not np.array_equal(graph.valid, other.read_graph().valid):
        raise SystemExit(f"found {one.root} and {other.root} of another valid; allowed: of one")
    chosen = np.random.default_rng(0).permutation(graph.valid)[:num_triples]
    rules = [] if first.rules is None else [first.rules]
    print("| Blocks | valid MRR | fitted and ranked, s |")
    print("|---|---|---|")
    for name, blocks in _choices(first.encoded, second.encoded):
        started = time.perf_counter()
        mrr = halves_mrr([*blocks, *rules], graph, chosen)
        print(f"| {name} | {mrr:.4f} | {time.perf_counter() - started:.0f} |", flush=True)


def _choices(
    first: Sequence[EncodedBlock], second: Sequence[EncodedBlock]
) -> Iterator[tuple[str, list[Block]]]:
    renamed = [replace(block, name=f"{block.name}#2") for block in second]
    yield "the first run's", [*first]
    yield "the second run's", [*renamed]
    yield "both", [*first, *renamed]
    for block in renamed:
        yield f"the first run's and {block.name}", [*first, block]


if __name__ == "__main__":
    main()
