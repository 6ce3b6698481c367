"""The page: one HTML file that refers to nothing outside itself.

Everything that comes from data passes the template engine's escaping; figures, whose texts were
escaped when they were drawn, are the one exception.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.stages.predictions import Prediction
from mocme.report.figure import COLOURS
from mocme.report.media import EntityMedia, Gallery
from mocme.report.run_data import RunData
from mocme.report.sections import Section
from mocme.report.table import as_text
from mocme.report.templates import asset, probability_text, render
from storage.datasets.graph import SPLITS

PAGE_SIZE = 6  # predictions seen at once; as many are seen without JavaScript

_SMALLEST_SHARE = 0.005  # of a modality's weight that is worth naming


@dataclass(frozen=True)
class Tile:
    """A headline number.

    Attributes:
        name: What it is.
        value: The number, as text.
        note: What else belongs to it.
    """

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Share:
    """A part of a prediction's bar.

    Attributes:
        name: The modality.
        share: Of the score, 0 to 1.
        colour: Its number among the colours.
    """

    name: str
    share: float
    colour: int


@dataclass(frozen=True)
class Card:
    """A prediction as the page shows it.

    Attributes:
        prediction: What is predicted.
        head: Name of the head.
        tail: Name of the tail.
        head_media: What there is of it; None where an earlier card holds it.
        tail_media: The same of the tail.
        shares: Weights, the largest first.
        nearest: The training fact most like it, and how much it is; None if there is none.
        probability: As text.
        known_answers: Names of other tails that the head is known to have.
    """

    prediction: Prediction
    head: str
    tail: str
    head_media: EntityMedia | None
    tail_media: EntityMedia | None
    shares: tuple[Share, ...]
    nearest: tuple[str, str, float] | None
    probability: str
    known_answers: tuple[str, ...]


def render_page(
    run: RunData,
    sections: Sequence[tuple[Section, Mapping[str, str]]],
    predictions: Sequence[Prediction],
    gallery: Gallery,
) -> str:
    """Return the HTML of a run's report.

    Args:
        run: What was read of the run.
        sections: Sections, and the SVG element of each figure by name.
        predictions: Those to show, in this order.
        gallery: Media of their entities.
    """
    return render(
        "report.html.j2",
        title=run.name,
        facts=_facts(run),
        tiles=_tiles(run),
        problem=run.source.problem,
        warnings=[it.warning for it in run.coverage or () if it.warning],
        config=run.config_text,
        sections=sections,
        colours=COLOURS,
        css=asset("report.css"),
        js=asset("report.js"),
        **_predicted(run, predictions, gallery),
    )


def _predicted(run: RunData, predictions: Sequence[Prediction], gallery: Gallery) -> dict[str, Any]:
    """Return what the template tells of predictions."""
    cards = _cards(run, predictions, gallery)
    held = {it for card in cards[:PAGE_SIZE] for it in (card.prediction.head, card.prediction.tail)}
    return {
        "cards": cards,
        "page_size": PAGE_SIZE,
        "relations": sorted({it.relation for it in predictions}),
        "num_predicted": len(run.predictions or ()),
        "was_predicted": run.predictions is not None,
        "reliability": run.reliability.lines,
        "legend": _colours(run),
        "gallery": gallery,
        "stored": {entity: it for entity, it in gallery.of.items() if entity not in held},
        "rows": {entity: row for row, entity in enumerate(gallery.of)},
        "names": dict(zip(run.graph.entities, run.graph.names, strict=True)),
    }


def _facts(run: RunData) -> list[tuple[str, str]]:
    """Return what graph and what model this is, a line each."""
    graph, parts = run.graph, run.trained.parts
    model, train = parts["model"], parts["train"]
    negatives = train["negatives"]
    splits = ", ".join(f"{len(graph.split(it)):,} {it}" for it in SPLITS)
    experts = _counted(model["num_experts"], "expert")
    epochs = _counted(len(run.epochs), "epoch")
    finished = run.trained.finished_at[:16].replace("T", " ")
    scorer = f"{model['scorer']}, width {model['dim']}, fusion {model['fusion']}"
    return [
        ("Graph", f"{graph.num_entities:,} entities, {graph.num_relations:,} relations"),
        ("Triples", splits),
        ("Modalities", ", ".join(parts["modalities"]) or "none, structure alone"),
        ("Model", f"{scorer}, {experts} per modality"),
        ("Negatives", f"{negatives['mode']}, weighting {negatives['weighting']}"),
        ("Training", f"{epochs}, {run.seconds:,.0f} s, finished {finished} UTC"),
        ("Run", run.path.name),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _tiles(run: RunData) -> list[Tile]:
    test, clean = run.evaluation["test"], run.evaluation["test_clean"]
    found = [
        Tile(title, as_text(test[name]), f"{test_is}clean {as_text(clean.get(name))}")
        for name, title, test_is in (
            ("mrr", "MRR", "test; "),
            ("hits_at_1", "Hits@1", ""),
            ("hits_at_10", "Hits@10", ""),
        )
    ]
    if run.predictions is not None:
        note = f"of {_counted(len({it.relation for it in run.predictions}), 'relation')}"
        found.append(Tile("Predicted triples", f"{len(run.predictions):,}", note))
    return found


def _cards(run: RunData, predictions: Sequence[Prediction], gallery: Gallery) -> list[Card]:
    names = dict(zip(run.graph.entities, run.graph.names, strict=True))
    colours, seen = _colours(run), set[str]()

    def media_of(entity: str) -> EntityMedia | None:
        """Return what an entity has, the first time; a later card's script takes it from there."""
        if entity in seen:
            return None
        seen.add(entity)
        return gallery.of.get(entity)

    return [
        Card(
            prediction=it,
            head=names.get(it.head, it.head),
            tail=names.get(it.tail, it.tail),
            head_media=media_of(it.head) if number < PAGE_SIZE else None,
            tail_media=media_of(it.tail) if number < PAGE_SIZE else None,
            shares=_shares(it, colours),
            nearest=_named(it.nearest, names),
            probability=probability_text(run.reliability, it.probability),
            known_answers=tuple(names.get(known, known) for known in it.known_answers),
        )
        for number, it in enumerate(predictions)
    ]


def _named(
    nearest: tuple[str, str, float] | None, names: Mapping[str, str]
) -> tuple[str, str, float] | None:
    """Name the entities of a fact."""
    if nearest is None:
        return None
    head, tail, similarity = nearest
    return names.get(head, head), names.get(tail, tail), similarity


def _colours(run: RunData) -> dict[str, int]:
    """Return the number of each modality's colour, of those that are shown anywhere."""
    names = dict.fromkeys(
        name
        for it in run.predictions or ()
        for name, weight in it.weights.items()
        if weight >= _SMALLEST_SHARE
    )
    return {name: number % len(COLOURS) for number, name in enumerate(names)}


def _shares(prediction: Prediction, colours: Mapping[str, int]) -> tuple[Share, ...]:
    weights = sorted(prediction.weights.items(), key=lambda it: -it[1])
    return tuple(
        Share(name, weight, colours[name]) for name, weight in weights if weight >= _SMALLEST_SHARE
    )
