"""The table of a study, as Markdown and as CSV, and its differences, as a plot."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mocme.ablation.plot import Interval, draw_differences
from mocme.ablation.study import VariantRuns
from model.evaluation.significance import PairedDifference, paired_difference
from storage.atomic import write_whole

COLUMNS = (
    "variant",
    "valid MRR",
    "test MRR",
    "Hits@1",
    "Hits@10",
    "unseen MRR",
    "full less this",
    "95% interval",
    "full is",
    "seconds",
)

_ONE_SEED = (
    "One seed: the intervals are over questions alone, and too narrow for differences that another "
    "seed could make."
)


@dataclass(frozen=True)
class Comparison:
    """A variant's runs and what the config as it is has more than they; None: they are its own."""

    runs: VariantRuns
    difference: PairedDifference | None


def compare(variants: Sequence[VariantRuns]) -> list[Comparison]:
    """Compare variants with the first of them, on test."""
    full, *others = variants
    compared = [Comparison(it, paired_difference(full.test, it.test)) for it in others]
    return [Comparison(full, None), *compared]


def rows_of(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Return a row for each variant; means over seeds, ± their standard deviation."""
    return [[*_measured(found.runs), *_compared(found)] for found in comparisons]


def notes_of(comparisons: Sequence[Comparison], left_out: Mapping[str, str]) -> list[str]:
    """Return what a reader of the table must know.

    Args:
        comparisons: What was compared.
        left_out: Why other variants were not, by name.
    """
    is_one_seed = all(len(found.runs.test) == 1 for found in comparisons)
    notes = [_ONE_SEED] if is_one_seed else []
    return [*notes, *(f"Left out: {name} ({reason})." for name, reason in left_out.items())]


def write_report(
    comparisons: Sequence[Comparison], notes: Sequence[str], folder: Path, title: str
) -> Path:
    """Write `table.md`, `table.csv`, `plot.svg` and `plot.png`; return the first.

    Args:
        comparisons: What was compared.
        notes: What stands below.
        folder: Where to; it exists.
        title: What stands above.
    """
    rows = rows_of(comparisons)
    lines = [f"| {' | '.join(row)} |" for row in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    path = folder / "table.md"
    write_whole(path, "\n".join([f"# {title}", "", *lines, *_spaced(notes)]) + "\n")
    write_whole(folder / "table.csv", text.getvalue())
    intervals = [
        Interval(found.runs.name, found.difference)
        for found in comparisons
        if found.difference is not None
    ]
    draw_differences(intervals, folder / "plot", title)
    return path


def _spaced(notes: Sequence[str]) -> list[str]:
    """Make each note a paragraph."""
    return [line for note in notes for line in ("", note)]


def _measured(variant: VariantRuns) -> list[str]:
    test = variant.test
    hits = [_spread((test >= 1 / k).mean(1)) for k in (1, 10)]
    unseen = test[:, variant.is_unseen]
    return [
        variant.name,
        _spread(variant.valid.mean(1)),
        _spread(test.mean(1)),
        *hits,
        _spread(unseen.mean(1)) if unseen.size else "",
    ]


def _compared(found: Comparison) -> list[str]:
    seconds = f"{found.runs.seconds.mean():.0f}"
    difference = found.difference
    if difference is None:
        return ["", "", "", seconds]
    interval = f"{difference.low:+.4f} to {difference.high:+.4f}"
    return [f"{difference.mean:+.4f}", interval, difference.verdict, seconds]


def _spread(values: NDArray[np.float64]) -> str:
    """Format the mean and, of several, the standard deviation. Shape: (S,)."""
    mean = f"{values.mean():.4f}"
    return f"{mean} ± {values.std(ddof=1):.4f}" if len(values) > 1 else mean
