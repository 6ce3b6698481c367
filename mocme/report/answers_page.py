"""Predicted triples as one page for people: what is known beside each, why it was given, pictures.

The page refers to nothing outside itself and has no script. A picture is in it once, however many
triples name its entity: cells show it as their background.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.stages.run_source import Source, find_source
from flows.stages.staged_run import StagedRun
from mocme.exporting.prediction_files import written
from mocme.exporting.prior_file import PAGE_MARK
from mocme.reliability import Reliability, read_reliability
from mocme.report.media import Gallery, collect_pictures
from mocme.report.templates import asset, probability_text, render

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple
    from model.prediction.wording import Wording

_MOST_BYTES = 10_000_000  # of the page, pictures included


@dataclass(frozen=True)
class _Row:
    """A predicted triple as the page shows it.

    Attributes:
        triple: What is predicted.
        head: Name of the head.
        relation: In words.
        tail: Name of the tail.
        probability: As text.
        known_answers: Names of other tails that the head is known to have.
        nearest: Training facts in words, and how much each is like the triple.
        rule: As a sentence; empty where none leads to the triple.
    """

    triple: "PredictedTriple"
    head: str
    relation: str
    tail: str
    probability: str
    known_answers: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]
    rule: str


def write_page(
    path: Path, triples: Iterable["PredictedTriple"], wording: "Wording", folder: StagedRun
) -> int:
    """Write a page with a row for each triple.

    Args:
        path: The file.
        triples: What to show, in this order; in full (see `Predictor.missing_triples`).
        wording: What entities and relations are called.
        folder: The run that predicts them.

    Returns:
        How many there were.

    Raises:
        PredictionFileError: If the file cannot be written.
    """
    reliability, source = read_reliability(folder), find_source(folder)
    rows = [_row(it, wording, reliability) for it in triples]
    entities = list(dict.fromkeys(it for row in rows for it in (row.triple.head, row.triple.tail)))
    without = _render(rows, source, reliability, Gallery.empty(entities))
    gallery = collect_pictures(source, entities, _MOST_BYTES - len(without.encode()))
    page = _render(rows, source, reliability, gallery)
    with written(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return len(rows)


def _row(found: "PredictedTriple", wording: "Wording", reliability: Reliability) -> _Row:
    rule = found.rule
    return _Row(
        triple=found,
        head=wording.entity(found.head),
        relation=wording.relation(found.relation),
        tail=wording.entity(found.tail),
        probability=probability_text(reliability, found.probability),
        known_answers=tuple(map(wording.entity, found.known_answers)),
        nearest=tuple(
            (wording.fact(it.head, found.relation, it.tail), it.similarity)
            for it in found.nearest_facts
        ),
        rule="" if rule is None else rule.sentence or str(rule),
    )


def _render(
    rows: Sequence[_Row], source: Source, reliability: Reliability, gallery: Gallery
) -> str:
    dataset = source.dataset
    return render(
        "answers.html.j2",
        mark=PAGE_MARK,
        title=dataset.root.name if dataset is not None else "Predicted triples",
        css=asset("report.css"),
        lines=reliability.lines,
        problem=source.problem,
        rows=rows,
        pictures=_pictures(gallery),
        gallery=gallery,
    )


def _pictures(gallery: Gallery) -> Mapping[str, tuple[int, str]]:
    """Return, of each entity with a picture, its number and its data URI."""
    uris = {entity: it.image for entity, it in gallery.of.items() if it.image}
    return {entity: (number, uri) for number, (entity, uri) in enumerate(uris.items())}
