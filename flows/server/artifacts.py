"""What a run shows in Prefect's pages: progress, tables of what it did, and where its files are."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from extractors.report import Extraction
from flows.stages.run_record import RunRecord
from flows.stages.stage import Outcome
from storage.words.visible import plain_markdown

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
            "warning": extraction.warning or "",
        }
        for name, extraction in extractions.items()
    ]
    warnings = [f"**{found.warning}**" for found in extractions.values() if found.warning]
    _publish("extraction", rows, "; ".join(["Items of each modality", *warnings]))
    failures = [
        {"modality": name, **asdict(failure)}
        for name, extraction in extractions.items()
        for failure in extraction.failures
    ]
    shown = failures[:_MOST_FAILURES_SHOWN]
    _publish("extraction-failures", shown, f"{len(failures)} failed items, {len(shown)} shown")


def publish_stages(record: RunRecord) -> None:
    """Publish which stages ran or were skipped, and why, and links to the files that they left."""
    rows = [{"stage": stage, **asdict(outcome)} for stage, outcome in record.stages.items()]
    _publish("stages", rows, "What ran, what was skipped, and why")
    _link("run", record.run_dir, "The run's folder: its config, log, model, metrics, predictions")
    _link("failures", record.failures_file, "Every failed item, with its reason")


def publish_metrics(record: RunRecord) -> None:
    """Publish the ranking metrics of each split."""
    rows = [{"split": split, **metrics} for split, metrics in record.metrics.items()]
    _publish("metrics", rows, f"Ranking metrics of the selected model of {record.run_dir}")


def _publish(name: str, rows: list[dict[str, Any]], description: str) -> None:
    """Publish a table; an empty one says nothing and is left out."""
    if rows:
        shown = [{key: _cell(value) for key, value in row.items()} for row in rows]
        create_table_artifact(
            table=shown, key=f"mocme-{name}", description=plain_markdown(description)
        )


def _cell(value: Any) -> Any:
    """Return a cell as Prefect's pages must be given it, which take every text for Markdown."""
    return plain_markdown(value) if isinstance(value, str) else value


def _link(name: str, path: Path | None, description: str) -> None:
    """Publish where something is: opens where the path is that of a shared folder."""
    if path is not None:
        link_text = plain_markdown(str(path))
        create_link_artifact(
            path.absolute().as_uri(), link_text, key=f"mocme-{name}", description=description
        )


class PublishedProgress:
    """How far long stages have come, as bars in Prefect's pages.

    A server that does not answer stops no work: it is told no more.
    """

    def __init__(self) -> None:
        self._bars: dict[str, UUID] = {}
        self._is_heard = True

    def tell(self, name: str, percent: float, note: str) -> None:
        """Show a bar, or move it. Call it in the task that works."""
        if not self._is_heard:
            return
        description = f"{name}: {note}"
        try:
            if name in self._bars:
                update_progress_artifact(self._bars[name], percent, description)
            else:
                made = create_progress_artifact(percent, "mocme-progress", description)
                self._bars[name] = cast(UUID, made)  # a coroutine in coroutines alone
        except (httpx.HTTPError, PrefectException):
            self._is_heard = False

    def finish(self, name: str) -> None:
        """Move a bar to its end, if there is one."""
        if name in self._bars:
            self.tell(name, 100.0, "done")
