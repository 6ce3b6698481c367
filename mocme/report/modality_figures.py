"""Figures of modalities: what they share and know, who speaks for which relation, who has them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mocme.report.figure import (
    COLOURS,
    Draw,
    Figure,
    bars,
    count_in_integers,
    heat_map,
    legend_above,
)
from mocme.report.run_data import ModalityCoverage, Voices
from mocme.report.table import Table

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from model.runs.measured import Complementarity

_MOST_ROWS = 40  # relations of a heat map; all are in the table
_MOST_BARS = 25
_ROW_HEIGHT, _REST_HEIGHT, _MOST_HEIGHT = 0.24, 0.9, 5.0  # inches
_PANELS_IN_A_ROW = 3
_COVERAGE_COLOURS = (COLOURS[0], COLOURS[4], COLOURS[7])  # there, failed, absent


def information_figure(found: "Complementarity") -> Figure:
    """Draw what the entities' own modalities share."""
    values = _without_diagonal(found.information)
    return Figure(
        name="modality_information",
        title="What modalities share",
        description="Mutual information between two modalities of the same entities, in nats per "
        "dimension. What repeats the others counts less in the fusion.",
        table=_matrix_table("modality", values, found.own),
        draw=(lambda axes: heat_map(axes, values, found.own, found.own),),
        height=_REST_HEIGHT + 0.42 * len(found.own),
    )


def relevance_figure(found: "Complementarity") -> Figure:
    """Draw what each modality knows by itself, and how loud that makes it."""
    relevance = [_number(value) for value in found.relevance.tolist()]
    strengths = found.strengths.tolist()
    rows = zip(found.own, relevance, strengths, strict=True)
    known = [value or 0.0 for value in relevance]
    return Figure(
        name="modality_relevance",
        title="What modalities know, and their strength",
        description="Left: nats by which a modality alone beats the uniform answer on triples that "
        "were not trained on. Right: its strength in an entity that has all modalities: from both, "
        "what it knows and what it shares.",
        table=Table.of(("modality", "relevance in nats", "strength"), rows),
        draw=(
            lambda axes: bars(axes, found.own, {"relevance": known}, "relevance in nats"),
            lambda axes: bars(axes, [""] * len(found.own), {"strength": strengths}, "strength"),
        ),
        height=_REST_HEIGHT + _ROW_HEIGHT * len(found.own),
    )


def expert_figures(found: "Complementarity") -> list[Figure]:
    """Draw what the experts of each modality share, some modalities a figure."""
    num_experts = found.expert_information.shape[1]
    names = [str(number + 1) for number in range(num_experts)]
    figures = []
    for start in range(0, len(found.modalities), _PANELS_IN_A_ROW):
        those = list(enumerate(found.modalities))[start : start + _PANELS_IN_A_ROW]
        panels = {name: _without_diagonal(found.expert_information[i]) for i, name in those}
        rows = [
            (f"{modality}, expert {number}", *map(_number, row))
            for modality, values in panels.items()
            for number, row in zip(names, values, strict=True)
        ]
        figures.append(
            Figure(
                name=f"expert_information_{start // _PANELS_IN_A_ROW + 1}",
                title=f"What the experts share: {', '.join(panels)}",
                description="Mutual information between the experts of a modality, in nats per "
                "dimension.",
                table=Table.of(("expert", *(f"expert {name}" for name in names)), rows),
                draw=tuple(_panel(values, names, name) for name, values in panels.items()),
                height=min(_REST_HEIGHT + 0.4 * num_experts, _MOST_HEIGHT),
            )
        )
    return figures


def _panel(values: Sequence[Sequence[float]], names: Sequence[str], title: str) -> Draw:
    return lambda axes: heat_map(axes, values, names, names, title)


def block_figure(voices: Voices, relations: Sequence[str]) -> Figure:
    """Draw the share of every block in the scores of each relation."""
    shares = voices.block_shares.tolist()
    shown = min(len(relations), _MOST_ROWS)
    more = (
        f" The first {shown} of {len(relations)} relations; the table has all."
        if (shown < len(relations))
        else ""
    )
    return Figure(
        name="block_shares",
        title="Who speaks for which relation",
        description="Share of each block in the scores of right answers: the mean over triples of "
        "test, both ways. Content is the fused one, content-image that of the images alone, and so "
        "on; structure are the learned rows, context those of the neighbours, rules those of the "
        f"facts. A relation of which test has no triple stays empty.{more}",
        table=Table.of(
            ("relation", *voices.blocks),
            ((name, *map(_number, row)) for name, row in zip(relations, shares, strict=True)),
        ),
        draw=(lambda axes: heat_map(axes, shares[:shown], relations[:shown], voices.blocks),),
        height=_REST_HEIGHT + 0.45 + 0.21 * shown,
    )


def coverage_figure(coverage: Sequence[ModalityCoverage]) -> Figure:
    """Draw for how many entities the store has each modality."""
    parts = {
        "a vector": [float(it.num_with) for it in coverage],
        "failed": [float(it.num_failed) for it in coverage],
        "nothing listed": [float(it.num_without) for it in coverage],
    }
    names = [it.modality for it in coverage]
    rows = [(it.modality, it.num_with, it.num_failed, it.num_without) for it in coverage]
    return Figure(
        name="coverage",
        title="Entities by modality",
        description="For how many entities the feature store has a vector, for how many they list "
        "items of which none has one, and how many list nothing.",
        table=Table.of(("modality", *parts), rows),
        draw=(lambda axes: _draw_coverage(axes, names, parts),),
        height=_REST_HEIGHT + _ROW_HEIGHT * len(names),
        is_table_open=True,
    )


def _draw_coverage(
    axes: "Axes", names: Sequence[str], parts: Mapping[str, Sequence[float]]
) -> None:
    bars(axes, names, parts, "entities", colours=_COVERAGE_COLOURS)
    count_in_integers(axes)
    legend_above(axes)


def heard_figure(voices: Voices) -> Figure:
    """Draw in how many entities the model hears each modality: known without dataset or store."""
    counts = (voices.modality_weights > 0).sum(0).tolist()
    num_entities = len(voices.modality_weights)
    rows = [
        (name, count, num_entities - count)
        for name, count in zip(voices.modalities, counts, strict=True)
    ]
    lengths = {"heard": [float(count) for count in counts]}
    return Figure(
        name="heard",
        title="Entities in which a modality is heard",
        description="Entities to whose content the modality contributes.",
        table=Table.of(("modality", "entities", "other entities"), rows),
        draw=(lambda axes: bars(axes, voices.modalities, lengths, "entities"),),
        height=_REST_HEIGHT + _ROW_HEIGHT * len(counts),
    )


def failure_figure(failures: Mapping[tuple[str, str], int]) -> Figure:
    """Draw why items have no vector."""
    rows = [(modality, reason, count) for (modality, reason), count in failures.items()]
    drawn = rows[:_MOST_BARS]
    names = [f"{modality}: {reason}" for modality, reason, _ in drawn]
    lengths = {"items": [float(count) for *_, count in drawn]}
    return Figure(
        name="failures",
        title="Items that failed, by reason",
        description="Items of this run's modalities that have no vector, as the last extraction "
        "into this folder of runs left them.",
        table=Table.of(("modality", "reason", "items"), rows),
        draw=(lambda axes: _draw_failures(axes, names, lengths),),
        height=_REST_HEIGHT + _ROW_HEIGHT * len(drawn),
        is_table_open=True,
    )


def _draw_failures(
    axes: "Axes", names: Sequence[str], lengths: Mapping[str, Sequence[float]]
) -> None:
    bars(axes, names, lengths, "items", longest=48)
    count_in_integers(axes)


def _matrix_table(corner: str, values: Sequence[Sequence[float]], names: Sequence[str]) -> Table:
    rows = ((name, *map(_number, row)) for name, row in zip(names, values, strict=True))
    return Table.of((corner, *names), rows)


def _without_diagonal(values: "NDArray[np.float32]") -> list[list[float]]:
    """Return a matrix as lists, NaN where something would be compared with itself."""
    import numpy as np

    found: list[list[float]] = np.where(np.eye(len(values)) > 0, np.nan, values).tolist()
    return found


def _number(value: float) -> float | None:
    return None if value != value else value
