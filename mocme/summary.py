"""The end of a run in a few tables: items, stages, metrics, seconds."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.stages.run_record import RunRecord
from flows.terminal.output import print_warnings
from mocme.tables import table
from storage.words.visible import visible_line

METRICS = {"mrr": "MRR", "hits_at_1": "Hits@1", "hits_at_3": "Hits@3", "hits_at_10": "Hits@10"}


def print_summary(console: Console, record: RunRecord, seconds: float) -> None:
    """Print what a run did.

    Args:
        console: Where to.
        record: What the run left.
        seconds: How long the whole command took.
    """
    if record.extracted:
        console.print(_items(record))
    print_warnings(console, record.warnings)
    if record.failures_file is not None:
        _print_path(console, "failed items, each with its reason", record.failures_file)
    if record.stages:
        console.print(_stages(record))
    if record.metrics:
        console.print(metrics_table({str(split): m for split, m in record.metrics.items()}))
    if record.run_dir is not None:
        _print_path(console, "run", record.run_dir)
    working = sum(outcome.seconds for outcome in record.stages.values())
    started = "Prefect and start-up" if record.prefect_started else "start-up"
    console.print(
        f"{seconds:.1f} s in all: {working:.1f} s in the stages, {record.reading_seconds:.1f} s "
        f"reading the dataset, {seconds - working - record.reading_seconds:.1f} s {started}",
        soft_wrap=True,
    )


def metrics_table(metrics: dict[str, dict[str, float]]) -> Table:
    """Return a table of ranking metrics, which are always of the selected model.

    Args:
        metrics: Metrics by row title; those of no triples are left blank.
    """
    rows = [(title, *(found.get(name) for name in METRICS)) for title, found in metrics.items()]
    return table("Metrics of the selected model", ["", *METRICS.values()], rows)


def _print_path(console: Console, what: str, path: Path) -> None:
    console.print(visible_line(f"{what}: {path}"), soft_wrap=True)


def _items(record: RunRecord) -> Table:
    columns = ["modality", "new", "cached", "failed", "missing"]
    rows = [
        (name, counts.new, counts.cached, counts.failed, counts.missing)
        for name, counts in record.extracted.items()
    ]
    return table("Items", columns, rows)


def _stages(record: RunRecord) -> Table:
    made = table("Stages", ["stage", "", "seconds"], [])
    made.add_column("why", overflow="fold")
    for stage, outcome in record.stages.items():
        made.add_row(stage, outcome.status, f"{outcome.seconds:.1f}", outcome.reason)
    return made
