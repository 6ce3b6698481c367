"""A step's encoding of all entities, forward and back: gates part by part, or all rows at once.

    python benchmarks/encoding.py --entities 15000 --dim 400

One modality and the neighbours' content, random rows and edges. Prints the times and their ratio,
measured in turn in this process; what comes out is compared.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from unittest.mock import patch

import torch
from torch import Tensor

from model.config import ModelConfig
from model.encoder import gates
from model.encoder.content import ContentEncoder
from model.encoder.neighbours import Neighbourhood
from model.inputs import ModalityRows
from model.layers.by_rows import RowFunction, by_rows

NUM_RELATIONS = 50
EDGES_OF_AN_ENTITY = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=15_000)
    parser.add_argument("--feature-dim", type=int, default=1024)
    parser.add_argument("--dim", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    values = torch.randn(options.entities, options.feature_dim).bfloat16()
    rows = {"text": ModalityRows(torch.arange(options.entities), values)}
    config = ModelConfig(dim=options.dim)
    encoder = ContentEncoder(rows, options.entities, NUM_RELATIONS, config)
    num_edges = EDGES_OF_AN_ENTITY * options.entities
    sizes = (options.entities, NUM_RELATIONS, options.entities)
    edges = torch.stack([torch.randint(size, (num_edges,)) for size in sizes], dim=1)
    neighbourhood = Neighbourhood(edges, options.entities, NUM_RELATIONS)

    def encoded() -> Tensor:
        torch.manual_seed(1)  # the same dropout
        found: Tensor = encoder(neighbourhood, torch.ones(num_edges, dtype=torch.bool))[0]
        return found

    seconds: dict[str, list[float]] = {"all rows": [], "parts": []}
    results = {}
    for _ in range(options.repeats):
        for name, way in (("all rows", _at_once), ("parts", by_rows)):
            with patch.object(gates, "by_rows", way):
                start = time.perf_counter()
                results[name] = encoded()
                results[name].sum().backward()
                seconds[name].append(time.perf_counter() - start)
    torch.testing.assert_close(results["parts"], results["all rows"], rtol=1e-2, atol=1e-2)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {median * 1000:.0f} ms, forward and back")
    print(f"all rows / parts: {medians['all rows'] / medians['parts']:.2f}")


def _at_once(
    function: RowFunction, rows: Sequence[Tensor], parameters: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    return function(*rows, *parameters)


if __name__ == "__main__":
    main()
