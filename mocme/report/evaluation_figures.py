"""Figures of how well a run answers: by split, relation, modality and side; and its calibration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mocme.report.figure import COLOURS, FAINT, Figure, bars, legend_above
from mocme.report.table import Cell, Table
from mocme.summary import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metrics = Mapping[str, float]

SPLITS = {
    "test": "test, as published",
    "test_clean": "test, clean",
    "valid": "valid",
    "unseen_entities": "test, an entity unseen in training",
}
_NAMES = {**METRICS, "mr": "mean rank", "num_ranks": "answers"}
_MOST_BARS = 30  # relations that are drawn; all are in the table
_ROW_HEIGHT, _REST_HEIGHT = 0.24, 0.75  # inches


def metrics_figure(evaluation: Mapping[str, Any]) -> Figure:
    """Draw the ranking metrics of every split."""
    found = {title: evaluation[key] for key, title in SPLITS.items() if key in evaluation}
    drawn = {title: metrics for title, metrics in found.items() if metrics["num_ranks"]}
    return Figure(
        name="metrics",
        title="Ranking metrics by split",
        description="Filtered ranking of the right answer among all entities, for heads and tails. "
        "Clean are the distinct test triples that stand in no other split.",
        table=_table("split", found),
        draw=(lambda axes: _draw_metrics(axes, drawn),),
        is_table_open=True,
    )


def _draw_metrics(axes: "Axes", found: Mapping[str, Metrics]) -> None:
    width = 0.8 / max(1, len(found))
    for index, (title, metrics) in enumerate(found.items()):
        places = [place + (index - (len(found) - 1) / 2) * width for place in range(len(METRICS))]
        heights = [metrics[name] for name in METRICS]
        axes.bar(places, heights, width * 0.9, color=COLOURS[index], label=title)
    axes.set_xticks(range(len(METRICS)), METRICS.values())
    axes.set_ylim(0, 1)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    legend_above(axes, 2)


def group_figures(evaluation: Mapping[str, Any]) -> list[Figure]:
    """Draw MRR by relation, by the modalities of the answer, and by side."""
    relations = dict(sorted(evaluation["per_relation"].items(), key=lambda it: -it[1]["num_ranks"]))
    others = f", the {_MOST_BARS} with the most answers" if len(relations) > _MOST_BARS else ""
    found = [
        _bars_figure(
            ("per_relation", "relation", f"MRR by relation{others}"),
            "Test, as published.",
            relations,
        )
    ]
    if evaluation["per_modality"]:
        text = "Test, as published: the answers that have the modality. An answer counts in all"
        heading = ("per_modality", "modality of the answer", "MRR by what the answer has")
        found.append(_bars_figure(heading, f"{text} that it has.", evaluation["per_modality"]))
    heading = ("per_side", "asked for", "MRR by side")
    found.append(_bars_figure(heading, "Test, as published.", evaluation["per_side"]))
    return found


def _bars_figure(
    heading: tuple[str, str, str], description: str, groups: Mapping[str, Metrics]
) -> Figure:
    name, column, title = heading
    drawn = {
        group: metrics
        for group, metrics in list(groups.items())[:_MOST_BARS]
        if metrics["num_ranks"]
    }
    lengths = [metrics["mrr"] for metrics in drawn.values()]
    return Figure(
        name=name,
        title=title,
        description=description,
        table=_table(column, groups),
        draw=(lambda axes: bars(axes, list(drawn), {"MRR": lengths}, "MRR"),),
        height=_REST_HEIGHT + _ROW_HEIGHT * max(2, len(drawn)),
    )


def _table(column: str, groups: Mapping[str, Metrics]) -> Table:
    rows: list[Sequence[Cell]] = [
        (group, *(_count_or_number(name, metrics.get(name)) for name in _NAMES))
        for group, metrics in groups.items()
    ]
    return Table.of((column, *_NAMES.values()), rows)


def _count_or_number(name: str, value: float | None) -> Cell:
    return int(value) if name == "num_ranks" and value is not None else value


def audit_table(evaluation: Mapping[str, Any]) -> Table:
    """Return what the audit found of each split."""
    splits: Mapping[str, Mapping[str, int]] = evaluation["audit"]["splits"]
    columns = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    rows = [(split, *(counts.get(name) for name in columns)) for split, counts in splits.items()]
    return Table.of(("split", *(name.replace("_", " ") for name in columns)), rows)


def leaks_table(evaluation: Mapping[str, Any]) -> Table:
    """Return the triples of one split that stand in another."""
    leaks: Mapping[str, Mapping[str, int]] = evaluation["audit"].get("leaks", {})
    found = {name: counts for name, counts in leaks.items() if any(counts.values())}
    columns = list(dict.fromkeys(name for counts in found.values() for name in counts))
    rows = [
        (name.replace("_", " "), *(counts.get(column) for column in columns))
        for name, counts in found.items()
    ]
    return Table.of(("leak", *(column.replace("_", " ") for column in columns)), rows)


def calibration_figure(calibration: Mapping[str, Any]) -> Figure:
    """Draw what is promised of missing facts, and what of it came true.

    Args:
        calibration: Of `model.probability.held_out.calibration_on_test`.
    """
    keys = ("lower", "upper", "probability", "accuracy", "count")
    rows = [[found[key] for key in keys] for found in calibration["bins"]]
    columns = ("from", "to", "promised", "true", "answers")
    return Figure(
        name="calibration",
        title="Promised, and true",
        description="The graph is completed by the selected model, which has not seen test. Of the "
        "answers that it gives such a probability, the share that holds, by test; on the diagonal "
        "as many hold as are promised. Test has some of the missing facts alone, so what holds is "
        "scaled by the share of what is promised that it has, "
        f"{calibration['share_known']:.2f}.{_sure(calibration)} "
        f"Expected calibration error: {calibration['ece']:.3f}.",
        table=Table.of(columns, rows),
        draw=(lambda axes: _draw_calibration(axes, calibration["bins"]),),
        height=3.2,
    )


def _sure(calibration: Mapping[str, Any]) -> str:
    """Say what became of the answers of probability 1/2 and more; nothing without any."""
    if "promised" not in calibration:
        return ""
    promised, true = calibration["promised"], calibration["true"]
    return f" Of the answers above 1/2, {promised:.2f} are promised and {true:.2f} hold."


def _draw_calibration(axes: "Axes", bins: Sequence[Mapping[str, float]]) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
    axes.plot(
        [found["probability"] for found in bins],
        [found["accuracy"] for found in bins],
        marker="o",
        markersize=4,
        color=COLOURS[0],
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid()
    axes.set_xlabel("promised: mean probability")
    axes.set_ylabel("true: share that holds")
