"""Figures of a report: drawn once, kept as SVG, PNG and CSV, and laid into the page.

In the page a figure takes the page's colours: what is drawn in `INK`, `FAINT` and `PAPER` here
becomes the colour of its text, that of its lines, and nothing.
"""

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from mocme.drawing import plain_style
from mocme.report.table import Table

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from numpy.typing import NDArray

INK, FAINT, PAPER = "#1b1d21", "#d3d6db", "#fefefe"

COLOURS = (
    *("#3b7dd8", "#d9660f", "#2e9157", "#9a63d6"),
    *("#d64560", "#1796a3", "#8f8420", "#7d8590"),
    *("#d938b0", "#9a5f42", "#a828e0", "#a86494"),
)
"""Of series and modalities; all stand out from white and from near-black by 3:1 or more."""

_SHADE = (0.12, 0.37, 0.69)
"""Of heat maps: the more of it, the higher the value; the less, the more of the page shows."""

_DARK_FROM = 0.8  # of the largest value: from there white stands out better, on any page

_MOST_NUMBERED = 12  # columns, so that numbers fit their cells

WIDTH = 4.8  # inches; on a telephone's screen, texts are still legible then
_DOTS_PER_INCH = 180
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_STYLE: Any = {
    "svg.hashsalt": "mocme",
    "svg.fonttype": "none",  # text that can be read, found and enlarged
    "text.parse_math": False,  # names come from data
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_VIEW_BOX = re.compile(r'viewBox="[^"]*"')
_STYLE_ELEMENT = re.compile(r"<style.*?</style>", re.DOTALL)
_REFERENCE = re.compile(r'(?:href="|url\()#([^")]+)')
_ID = re.compile(r'\sid="([^"]*)"')

Draw = Callable[["Axes"], None]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: Stem of its files, and its address in the page.
        title: What it is, in some words.
        description: What it shows, in sentences: for its caption and for screen readers.
        table: What is drawn.
        draw: One function for each panel.
        height: Inches.
        is_table_open: Whether the page shows the table without being asked.
    """

    name: str
    title: str
    description: str
    table: Table
    draw: tuple[Draw, ...]
    height: float = 2.6
    is_table_open: bool = False


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as it is drawn.

    Attributes:
        element: The SVG element for the page.
        files: What its files hold, by name.
    """

    element: str
    files: Mapping[str, bytes]


def draw_figure(figure: Figure) -> DrawnFigure:
    """Draw a figure as `<name>.svg`, `.png` and `.csv`; the same figure gives the same bytes."""
    with plain_style(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script the font lacks
        canvas, png, svg = _draw(figure), BytesIO(), StringIO()
        canvas.savefig(png, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        canvas.set_layout_engine("none")  # it is laid out
        canvas.savefig(svg, format="svg", metadata=_NO_METADATA)
    files = {
        f"{figure.name}.png": png.getvalue(),
        f"{figure.name}.svg": svg.getvalue().encode(),
        f"{figure.name}.csv": figure.table.csv().encode(),
    }
    return DrawnFigure(_for_page(svg.getvalue(), figure), files)


def _draw(figure: Figure) -> "Canvas":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(WIDTH, figure.height), layout="constrained")
    FigureCanvasAgg(canvas)
    panels = canvas.subplots(1, len(figure.draw), squeeze=False)[0]
    for draw, axes in zip(figure.draw, panels, strict=True):
        draw(axes)
    return canvas


def _for_page(svg: str, figure: Figure) -> str:
    """Return the bare element, named, its ids unlike those of others, its colours the page's."""
    name = figure.name
    start = svg.index("<svg")
    end = svg.index(">", start) + 1
    view_box = _VIEW_BOX.search(svg, start, end)
    inside = _STYLE_ELEMENT.sub("", svg[end:])
    referenced = set(_REFERENCE.findall(inside))

    def rename(found: "re.Match[str]") -> str:
        return f' id="{name}-{found[1]}"' if found[1] in referenced else ""

    inside = _REFERENCE.sub(lambda found: found[0].replace("#", f"#{name}-"), inside)
    inside = _ID.sub(rename, inside)
    for drawn, shown in ((INK, "currentColor"), (FAINT, "var(--line)"), (PAPER, "none")):
        inside = inside.replace(drawn, shown)
    return (
        f'<svg {view_box[0] if view_box else ""} role="img" focusable="false" '
        f'aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(figure.title)}</title>'
        f'<desc id="{name}-text">{escape(figure.description)}</desc>{inside}'
    )


def bars(
    axes: "Axes",
    names: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    label: str,
    longest: int = 24,
    colours: Sequence[str] = COLOURS,
) -> None:
    """Draw horizontal bars, the first name on top, of parts laid end to end.

    Args:
        axes: Where to.
        names: One for each bar.
        parts: What each part is called, and its length in each bar.
        label: Of the axis.
        longest: Characters of a name that are shown.
        colours: Of the parts.
    """
    left = [0.0] * len(names)
    for index, (part, lengths) in enumerate(parts.items()):
        colour = colours[index % len(colours)]
        axes.barh(range(len(names)), lengths, left=left, height=0.7, color=colour, label=part)
        left = [start + length for start, length in zip(left, lengths, strict=True)]
    axes.set_yticks(range(len(names)), [shortened(name, longest) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(label)


def heat_map(
    axes: "Axes",
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
) -> None:
    """Draw numbers as colours, the numbers in their cells if they are few; NaN stays empty.

    Args:
        axes: Where to.
        values: Shape: (rows, columns).
        rows: Their names.
        columns: Theirs.
        title: What stands above.
    """
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    array = np.ma.masked_invalid(np.asarray(values, dtype=float))
    largest = float(array.max()) if array.count() else 0.0
    shades = LinearSegmentedColormap.from_list("shades", [(*_SHADE, 0.0), (*_SHADE, 1.0)])
    axes.pcolormesh(array, cmap=shades, vmin=0, vmax=largest or 1, edgecolors=FAINT, linewidth=0.5)
    if len(columns) <= _MOST_NUMBERED:
        _write_numbers(axes, array.filled(np.nan), largest)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [shortened(it) for it in columns], rotation=35,
                    ha="right", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shortened(it) for it in rows])
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def _write_numbers(axes: "Axes", values: "NDArray[np.float64]", largest: float) -> None:
    """Write each number into its cell, in what stands out from the cell's shade."""
    for row, numbers in enumerate(values.tolist()):
        for column, value in enumerate(numbers):
            if not math.isnan(value):
                colour = "#ffffff" if value > _DARK_FROM * largest else INK
                place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
                axes.text(column + 0.5, row + 0.5, _short(value), color=colour, **place)


def count_in_integers(axes: "Axes") -> None:
    """Label the horizontal axis, which counts, by whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def legend_above(axes: "Axes", columns: int = 4) -> None:
    """Lay the legend above the panel."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.3,
                handlelength=1, columnspacing=1.2)  # fmt: skip


def shortened(name: str, longest: int = 24) -> str:
    """Return a name on one line, cut if it would take the figure's room.

    SVG, as all XML, can hold no control characters.
    """
    line = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}"
