"""The table of a study, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.ablation.study import VariantRuns
from flows.staged_run import write_whole
from model.significance import paired_difference

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


def rows_of(variants: Sequence[VariantRuns]) -> list[list[str]]:
    """Return a row for each variant; means over seeds, ± their standard deviation.

    Args:
        variants: The first is what the others are compared with, on test.
    """
    return [[*_measured(variant), *_compared(variants[0], variant)] for variant in variants]


def write_report(variants: Sequence[VariantRuns], folder: Path, title: str) -> Path:
    """Write `table.md` and `table.csv`; return the former."""
    rows = rows_of(variants)
    lines = [f"| {' | '.join(row)} |" for row in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    path = folder / "table.md"
    write_whole(path, "\n".join([f"# {title}", "", *lines]) + "\n")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write_whole(folder / "table.csv", text.getvalue())
    return path


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


def _compared(full: VariantRuns, variant: VariantRuns) -> list[str]:
    seconds = f"{variant.seconds.mean():.0f}"
    if variant is full:
        return ["", "", "", seconds]
    found = paired_difference(full.test, variant.test)
    interval = f"{found.low:+.4f} to {found.high:+.4f}"
    return [f"{found.mean:+.4f}", interval, found.verdict, seconds]


def _spread(values: NDArray[np.float64]) -> str:
    """Format the mean and, of several, the standard deviation. Shape: (S,)."""
    mean = f"{values.mean():.4f}"
    return f"{mean} ± {values.std(ddof=1):.4f}" if len(values) > 1 else mean
