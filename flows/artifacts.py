"""What a run shows in Prefect's pages: tables of items, failures, stages and metrics."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prefect.artifacts import create_table_artifact

from extractors.report import Extraction
from flows.run_record import RunRecord
from flows.stages import Outcome

_MOST_FAILURES_SHOWN = 200  # per run; the page loads the whole table at once


def publish_extraction(
    extractions: Mapping[str, Extraction], outcomes: Mapping[str, Outcome]
) -> None:
    """Publish how many items each modality has, and why items failed.

    Args:
        extractions: Of each modality, by name.
        outcomes: What became of each modality, by name.
    """
    rows = [
        {
            "modality": name,
            **asdict(extraction.counts),
            "outcome": outcomes[name].status,
            "seconds": round(outcomes[name].seconds, 2),
            "store": str(extraction.store_directory),
        }
        for name, extraction in extractions.items()
    ]
    _publish("extraction", rows, "Items of each modality")
    failures = [
        {"modality": name, **asdict(failure)}
        for name, extraction in extractions.items()
        for failure in extraction.failures
    ]
    shown = failures[:_MOST_FAILURES_SHOWN]
    _publish("extraction-failures", shown, f"{len(failures)} failed items, {len(shown)} shown")


def publish_stages(record: RunRecord) -> None:
    """Publish which stages ran or were skipped, and why."""
    rows = [{"stage": stage, **asdict(outcome)} for stage, outcome in record.stages.items()]
    _publish("stages", rows, "What ran, what was skipped, and why")


def publish_metrics(record: RunRecord) -> None:
    """Publish the ranking metrics of each split."""
    rows = [{"split": split, **metrics} for split, metrics in record.metrics.items()]
    _publish("metrics", rows, f"Ranking metrics of {record.run_dir}")


def _publish(name: str, rows: list[dict[str, Any]], description: str) -> None:
    """Publish a table; an empty one says nothing and is left out."""
    if rows:
        create_table_artifact(table=rows, key=f"mocme-{name}", description=description)
