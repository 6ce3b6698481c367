"""Figures of a training: loss, MRR on valid, what became of the negatives, who was listened to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mocme.report.figure import COLOURS, Figure, count_in_integers, legend_above
from mocme.report.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Epoch = Mapping[str, Any]

_CATEGORIES = ("easy", "ambiguous", "hard")
_SHARE = "share/"


def curve_figures(epochs: Sequence[Epoch]) -> list[Figure]:
    """Draw loss and MRR on valid; nothing of a training whose log is gone."""
    losses = [(epoch["epoch"], epoch["loss"]) for epoch in epochs]
    measured = [
        (epoch["epoch"], epoch["valid_mrr"])
        for epoch in epochs
        if epoch.get("valid_mrr") is not None
    ]
    found = []
    if losses:
        text = "Mean loss per triple and side, in nats."
        found.append(_curve(("loss", "Loss", text), losses))
    if measured:
        text = "Filtered MRR on valid, on which the best epoch is selected."
        found.append(_curve(("valid_mrr", "MRR on valid", text), measured))
    return found


def _curve(heading: tuple[str, str, str], points: Sequence[tuple[int, float]]) -> Figure:
    name, title, description = heading
    return Figure(
        name=name,
        title=title,
        description=description,
        table=Table.of(("epoch", title), points),
        draw=(lambda axes: _draw_lines(axes, {title: points}, title),),
    )


def egns_figures(epochs: Sequence[Epoch]) -> list[Figure]:
    """Draw the shares of the categories of negatives; nothing of a training without EGNS."""
    logged = [epoch for epoch in epochs if epoch.get("egns_easy") is not None]
    if not logged:
        return []
    shares = _series(logged, {name: f"egns_{name}" for name in _CATEGORIES})
    held_out = _series(logged, {name: f"egns_{name}_held_out" for name in _CATEGORIES})
    return [
        Figure(
            name="egns_shares",
            title="Negatives by category",
            description="Shares of easy, ambiguous and hard negatives in every epoch. Ambiguous "
            "are those of which the model does not know whether they outrank their positive.",
            table=_series_table(shares),
            draw=(lambda axes: _draw_stack(axes, shares),),
        ),
        Figure(
            name="egns_held_out",
            title="Negatives that are true",
            description="Shares of the negatives of each category that stand in valid or test, so "
            "are answers in truth. No loss knows of it.",
            table=_series_table(held_out),
            draw=(lambda axes: _draw_lines(axes, held_out, "share"),),
        ),
    ]


def share_figures(epochs: Sequence[Epoch]) -> list[Figure]:
    """Draw every modality's mean share in the entities' content, where that was logged."""
    logged = [epoch for epoch in epochs if any(name.startswith(_SHARE) for name in epoch)]
    if not logged:
        return []
    names = [name for name in logged[-1] if name.startswith(_SHARE)]
    shares = _series(logged, {name.removeprefix(_SHARE): name for name in names})
    if len(shares) < 2:
        return []
    return [
        Figure(
            name="modality_shares",
            title="Shares of the modalities",
            description="Mean share of each modality in the content of the entities that have any, "
            "epoch by epoch.",
            table=_series_table(shares),
            draw=(lambda axes: _draw_stack(axes, shares),),
        )
    ]


Series = Mapping[str, Sequence[tuple[int, float]]]
"""Epochs and values, by name."""


def _series(epochs: Sequence[Epoch], names: Mapping[str, str]) -> Series:
    """Return the values of some keys, 0 where there was nothing to count."""
    return {
        title: [(epoch["epoch"], epoch.get(key) or 0.0) for epoch in epochs]
        for title, key in names.items()
    }


def _series_table(series: Series) -> Table:
    epochs = [epoch for epoch, _ in next(iter(series.values()))]
    columns = [[value for _, value in points] for points in series.values()]
    return Table.of(("epoch", *series), zip(epochs, *columns, strict=True))


def _draw_lines(axes: "Axes", series: Series, label: str) -> None:
    for index, (name, points) in enumerate(series.items()):
        epochs, values = zip(*points, strict=True)
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(epochs, values, marker="o", markersize=3, color=colour, label=name)
    highest = max(value for points in series.values() for _, value in points)
    axes.set_ylim(0, highest * 1.08 or 1)
    _label_epochs(axes, label)
    if len(series) > 1:
        legend_above(axes)


def _draw_stack(axes: "Axes", series: Series) -> None:
    epochs = [epoch for epoch, _ in next(iter(series.values()))]
    values = [[value for _, value in points] for points in series.values()]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(series))]
    axes.stackplot(epochs, values, labels=list(series), colors=colours, alpha=0.9)
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    _label_epochs(axes, "share")
    legend_above(axes)


def _label_epochs(axes: "Axes", label: str) -> None:
    count_in_integers(axes)
    axes.grid(axis="y")
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
