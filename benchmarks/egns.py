"""What EGNS makes of the negatives of a training: their categories, entropy, held-out positives.

    python benchmarks/egns.py --out data/egns
    python benchmarks/egns.py --config examples/stamps.yaml --set train.epochs=15 --out data/egns

Trains by a config, on the sample graph by default, unless that training is there already. Draws its
metrics.jsonl to OUT/egns.svg, writes the numbers to OUT/egns.csv and prints some of them.
"""

import argparse
import csv
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from extractors.sample import write_sample
from flows.configs.pipeline_config import load_config
from flows.local_runs import open_flow
from flows.stages.run_record import start_record

CATEGORIES = ("easy", "ambiguous", "hard")
COLOURS = ("#9ecae1", "#fdae6b", "#cb181d")
NUMBERS = (*CATEGORIES, "entropy", *(f"{name}_held_out" for name in CATEGORIES))

Epoch = Mapping[str, float | None]


def main() -> None:
    """Train, draw, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: the sample graph's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("data/egns"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mocme-egns-") as folder:
        config = options.config
        if config is None:
            write_sample(Path(folder) / "sample")
            config = Path(folder) / "sample" / "mocme.yaml"
        epochs = train(config, options.set)
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "egns.csv", epochs)
    draw(options.out / "egns.svg", epochs)
    tell(epochs)


def train(config: Path, overrides: Sequence[str]) -> list[Epoch]:
    """Train, and return what was logged of the negatives of every epoch."""
    record = start_record()
    settings = load_config(config, ["train.final=selected", *overrides])  # in another folder, too
    with open_flow("train") as flow:
        flow(settings)
    if record.run_dir is None:
        raise SystemExit(record.error)
    lines = (record.run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {"epoch": epoch["epoch"], **{name: epoch[f"egns_{name}"] for name in NUMBERS}}
        for epoch in map(json.loads, lines)
    ]


def write_table(path: Path, epochs: Sequence[Epoch]) -> None:
    """Write a row an epoch; a cell is empty where there was nothing to count."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *NUMBERS])
        writer.writeheader()
        writer.writerows(epochs)


def column(epochs: Sequence[Epoch], name: str) -> list[float]:
    """Return a number of every epoch; NaN where there was nothing to count."""
    values = [epoch[name] for epoch in epochs]
    return [math.nan if value is None else value for value in values]


def draw(path: Path, epochs: Sequence[Epoch]) -> None:
    """Draw the three kinds of numbers side by side."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "egns", "font.size": 9})
    figure = Figure(figsize=(10, 3), layout="constrained")
    shares, entropy, held_out = figure.subplots(1, 3)
    numbers = column(epochs, "epoch")
    shares.stackplot(
        numbers, *(column(epochs, name) for name in CATEGORIES), labels=CATEGORIES, colors=COLOURS
    )
    shares.set(title="Share of the negatives", ylim=(0, 1))
    shares.legend(loc="lower left", reverse=True)
    entropy.plot(numbers, column(epochs, "entropy"), color="black")
    entropy.axhline(math.log(2), color="grey", linestyle=":")
    entropy.annotate("ln 2", (numbers[0], math.log(2)), va="bottom")
    entropy.set(title="Mean entropy, nats", ylim=(0, 0.75))
    for name, colour in zip(CATEGORIES, COLOURS, strict=True):
        percent = [100 * share for share in column(epochs, f"{name}_held_out")]
        held_out.plot(numbers, percent, color=colour, label=name, marker=".")
    held_out.set(title="Held-out positives among them, %", yscale="log")
    held_out.yaxis.set_major_formatter("{x:g}")
    held_out.legend(reverse=True)
    _finish(figure, [shares, entropy, held_out], path)


def _finish(figure: Figure, axes: Sequence[Axes], path: Path) -> None:
    for each in axes:
        each.set_xlabel("epoch")
        each.margins(x=0)
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def tell(epochs: Sequence[Epoch]) -> None:
    """Print the first, the middle and the last epoch."""
    for epoch in (epochs[0], epochs[len(epochs) // 2], epochs[-1]):
        shares = {name: epoch[name] or 0.0 for name in CATEGORIES}
        held_out = {name: epoch[f"{name}_held_out"] or 0.0 for name in CATEGORIES}
        everywhere = sum(shares[name] * held_out[name] for name in CATEGORIES)
        found = sum(shares[name] * held_out[name] for name in CATEGORIES[1:])
        print(f"epoch {epoch['epoch']}: entropy {epoch['entropy'] or 0.0:.3f} nats")
        for name in CATEGORIES:
            print(
                f"  {name}: {shares[name]:.2%} of the negatives, "
                f"of which {held_out[name]:.4%} are held-out positives"
            )
        print(f"  all negatives: {everywhere:.4%} are held-out positives")
        if held_out["easy"]:
            print(f"  hard / easy, held-out positives: {held_out['hard'] / held_out['easy']:.1f}")
        if everywhere:
            print(f"  of the held-out positives, {found / everywhere:.1%} are ambiguous or hard")


if __name__ == "__main__":
    main()
