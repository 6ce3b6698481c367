"""Sections of a report: what is told of a run, and what is said where there is nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from mocme.report.evaluation_figures import (
    audit_table,
    calibration_figure,
    group_figures,
    leaks_table,
    metrics_figure,
)
from mocme.report.figure import Figure
from mocme.report.modality_figures import (
    block_figure,
    coverage_figure,
    expert_figures,
    failure_figure,
    heard_figure,
    information_figure,
    relevance_figure,
)
from mocme.report.run_data import RunData
from mocme.report.table import Table
from mocme.report.training_figures import curve_figures, egns_figures, share_figures
from storage.datasets.relation_types.rows import HEADER, STATED_MARK, rows_of

_NOT_MEASURED = "the fusion does not ask, or too few entities have what would be compared."

_DATASET_CHANGED = "The dataset has changed since this run was trained; this is what it is now."


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its address in the page.
        title: What stands above it.
        notes: Sentences, a paragraph each.
        figures: Its figures.
        tables: Tables that no figure shows, by their captions.
    """

    name: str
    title: str
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()


def sections_of(run: RunData) -> list[Section]:
    """Return the sections of a run's report, the predictions aside."""
    return [
        _metrics(run),
        _groups(run),
        _calibration(run),
        _training(run),
        _negatives(run),
        _complementarity(run),
        _relations(run),
        _coverage(run),
        _splits(run),
    ]


def _metrics(run: RunData) -> Section:
    notes = [f"Metrics are of the selected model, which learned train alone. {_who_answers(run)}"]
    if run.evaluation["test"] == run.evaluation["test_clean"]:
        notes.append("The published test split is clean: both rows of test are the same answers.")
    if not run.evaluation["unseen_entities"]["num_ranks"]:
        notes.append("No test triple has an entity unseen in training.")
    return Section("ranking", "Metrics", tuple(notes), (metrics_figure(run.evaluation),))


def _who_answers(run: RunData) -> str:
    """Say which model the predictions are of."""
    learned = run.learned_for_answers
    if learned == ("train",):
        return "Predictions are its own, too."
    together = f"{', '.join(learned[:-1])} and {learned[-1]}"
    return f"Predictions are of the final model, which learned {together}."


def _groups(run: RunData) -> Section:
    title = "By relation, modality and side"
    return Section("groups", title, (), tuple(group_figures(run.evaluation)))


def _calibration(run: RunData) -> Section:
    found = run.evaluation.get("calibration")
    if not found:
        note = "This run's evaluation holds no calibration."
        return Section("calibrated", "Calibration", (note,))
    if not found["num_answers"]:
        note = "There is no question of test to compare probabilities with."
        return Section("calibrated", "Calibration", (note,))
    notes = run.reliability.lines
    return Section("calibrated", "Calibration", notes, (calibration_figure(found),))


def _training(run: RunData) -> Section:
    figures = (*curve_figures(run.epochs), *share_figures(run.epochs))
    notes = () if run.epochs else ("The training left no log.",)
    return Section("training", "Training", notes, figures)


def _negatives(run: RunData) -> Section:
    figures = tuple(egns_figures(run.epochs))
    if not figures:
        note = "This run's log holds no categories of negatives."
        return Section("negatives", "Negatives", (note,))
    weighting = run.trained.parts["train"]["negatives"]["weighting"]
    other = f"Not weighed by EGNS here (weighting: {weighting}): what it would make of them."
    return Section("negatives", "Negatives", () if weighting == "egns" else (other,), figures)


def _complementarity(run: RunData) -> Section:
    figures = [
        *_modality_figures(run),
        *_expert_figures(run),
        *([block_figure(run.voices, run.graph.relations)] if len(run.voices.blocks) > 1 else []),
    ]
    return Section(
        "complementarity", "Complementarity", tuple(_why_no_heat_map(run)), tuple(figures)
    )


def _modality_figures(run: RunData) -> list[Figure]:
    found = run.complementarity
    if found is None or len(found.own) < 2:
        return []
    figures = [information_figure(found)] if found.is_information_measured else []
    return [*figures, relevance_figure(found)] if found.is_relevance_measured else figures


def _expert_figures(run: RunData) -> list[Figure]:
    found = run.complementarity
    if found is None or found.num_experts < 2 or not found.are_experts_measured:
        return []
    return expert_figures(found)


def _why_no_heat_map(run: RunData) -> Iterator[str]:
    """Say of modalities and of experts why nothing is drawn of what they share."""
    found = run.complementarity
    if found is None:
        yield "This run fuses no modalities, so there is none to be compared with another."
        return
    if len(found.own) < 2:
        yield f"This run has one modality, {found.own[0]}: there is none for it to share with."
    elif not found.is_information_measured:
        yield f"What modalities share was not measured: {_NOT_MEASURED}"
    if found.num_experts < 2:
        yield "Each modality has one expert: there is none for it to share with."
    elif not found.are_experts_measured:
        yield f"What experts share was not measured: {_NOT_MEASURED}"


def _relations(run: RunData) -> Section:
    notes = [
        "Learned from all facts, where there are enough to tell; in brackets the mean number. "
        "Heads and tails are of these kinds or, where none is stated, have these facts, too."
    ]
    if any(it.stated for it in run.relation_types):
        notes.append(f"{STATED_MARK} stated in the config.")
    tables = (("Relations", Table.of(HEADER, rows_of(run.relation_types))),)
    return Section("relations", "What relations are like", tuple(notes), (), tables)


def _coverage(run: RunData) -> Section:
    figures = []
    notes = [_DATASET_CHANGED] if run.has_dataset_changed else []
    if not run.voices.modalities:
        notes.append("This run has no modalities: it learned from structure alone.")
    elif run.coverage is None:
        notes.append("Dataset or feature store are gone or cannot be read; this is what the model "
                     "hears.")  # fmt: skip
        figures.append(heard_figure(run.voices))
    else:
        figures.append(coverage_figure(run.coverage))
    if run.failures:
        figures.append(failure_figure(run.failures))
    elif run.coverage:
        notes.append("The last extraction lists no failed item.")
    return Section("store", "Feature store", tuple(notes), tuple(figures))


def _splits(run: RunData) -> Section:
    leaks = leaks_table(run.evaluation)
    tables = [("Lines of each split", audit_table(run.evaluation))]
    if leaks.rows:
        tables.append(("Triples of one split that stand in another", leaks))
    is_clean = not any(row[1] for row in leaks.rows)
    notes = ("No triple stands in two splits.",) if is_clean else ()
    return Section("splits", "Splits", notes, (), tuple(tables))
