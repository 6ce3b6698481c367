"""A training step's loss over all entities: in one pass, by chunks that fit the cache, in bfloat16.

    python benchmarks/loss.py --entities 15000

Prints the times and their ratios, measured in turn in this process; the results are compared.
Bfloat16 pays only where the processor has instructions for it.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from model.config import NegativesConfig
from model.negatives.chunked_loss import chunked_loss
from model.negatives.egns import one_vs_all_loss


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=15_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--dim", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    query = torch.randn(options.batch, options.dim, requires_grad=True)
    entities = (torch.randn(options.entities, options.dim) * 0.1).requires_grad_()
    target = torch.randint(options.entities, (options.batch,))

    def part_loss(scores: Tensor, place: slice) -> Tensor:
        answers = torch.stack([torch.arange(len(scores)), target[place]])
        return one_vs_all_loss(scores, answers, answers, NegativesConfig()).sum()

    def whole() -> Tensor:
        return part_loss(query @ entities.T, slice(0, options.batch))

    def chunks(dtype: torch.dtype = torch.float32) -> Tensor:
        return chunked_loss(query, entities, part_loss, dtype)

    ways: dict[str, Callable[[], Tensor]] = {
        "one pass": whole,
        "chunks": chunks,
        "chunks, bfloat16": lambda: chunks(torch.bfloat16),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, loss in ways.items():
            seconds[name].append(_seconds(loss))
    torch.testing.assert_close(whole(), chunks(), rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(whole(), chunks(torch.bfloat16), rtol=1e-2, atol=1.0)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {median * 1000:.0f} ms per step")
    for name in list(ways)[1:]:
        print(f"one pass / {name}: {medians['one pass'] / medians[name]:.2f}")


def _seconds(loss: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    loss().backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
