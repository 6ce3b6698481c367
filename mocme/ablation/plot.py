"""The differences of a study as a plot: one line per variant, with its 95% interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mocme.drawing import plain_style
from model.evaluation.significance import PairedDifference
from storage.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 7.0  # inches
_HEIGHT_OF_A_LINE = 0.28
_HEIGHT_OF_THE_REST = 1.3
_DOTS_PER_INCH = 150
_COLOURS = {"better": "#1b6ca8", "level": "#7a7a7a", "worse": "#c2571a"}
"""By what the verdict says of the config as it is."""


@dataclass(frozen=True)
class Interval:
    """A line of the plot: a variant's name and what the full config has more than it."""

    name: str
    difference: PairedDifference


def draw_differences(intervals: Sequence[Interval], path: Path, title: str) -> None:
    """Write `path`.svg and `path`.png; the same intervals give the same SVG, byte by byte.

    Each line is the full config's MRR on test less that of a variant, the largest gain at the top.

    Args:
        intervals: The variants.
        path: The files, less their suffix.
        title: What stands above.
    """
    height = _HEIGHT_OF_A_LINE * max(2, len(intervals)) + _HEIGHT_OF_THE_REST
    with plain_style({"svg.hashsalt": "mocme", "svg.fonttype": "path", "font.size": 9}):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure.add_subplot(), intervals, title)
        for suffix, metadata in ((".svg", {"Date": None}), (".png", {"Software": None})):
            with replacing(path.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=_DOTS_PER_INCH, metadata=metadata)


def _draw(axes: "Axes", intervals: Sequence[Interval], title: str) -> None:
    ordered = sorted(intervals, key=lambda it: it.difference.mean)
    axes.axvline(0, color="#888888", linewidth=1, zorder=0)
    for verdict, colour in _COLOURS.items():
        lines = [(y, it) for y, it in enumerate(ordered) if it.difference.verdict == verdict]
        if lines:
            axes.errorbar(
                [it.difference.mean for _, it in lines],
                [y for y, _ in lines],
                xerr=_around_means([it.difference for _, it in lines]),
                fmt="o",
                markersize=4,
                capsize=3,
                color=colour,
                label=f"full is {verdict}",
            )
    _label(axes, [it.name for it in ordered], title)


def _around_means(found: Sequence[PairedDifference]) -> list[list[float]]:
    """Return how far the intervals reach to both sides; of equal numbers, rounding may differ."""
    return [
        [max(0.0, it.mean - it.low) for it in found],
        [max(0.0, it.high - it.mean) for it in found],
    ]


def _label(axes: "Axes", names: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("test MRR: full less this, with 95% interval")
    axes.set_title(title, loc="left")
    if names:
        axes.figure.legend(loc="outside lower center", ncols=3, frameon=False)
