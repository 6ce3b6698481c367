"""Progress of long stages: bars on a terminal, else log lines; and bars in Prefect's pages."""

import time
from collections.abc import Callable
from typing import Self

from prefect import get_run_logger
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from extractors.report import Progress as ItemProgress
from flows.server.artifacts import PublishedProgress
from flows.terminal.console import VisibleConsole
from model.runs.epoch_report import EpochReport

SECONDS_BETWEEN = 10.0
"""Between two lines, or two updates of Prefect's pages; shorter stages have none."""

_EPOCHS = "train"


class StageProgress:
    """Shows how far stages have come, while its context is open."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=VisibleConsole(stderr=True),
            transient=True,
        )
        self._watched = self._bars.console.is_terminal
        self._ids: dict[str, TaskID] = {}
        self._published = PublishedProgress()
        self._last_told: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._watched:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._watched:
            self._bars.stop()

    def of_items(self) -> Callable[[ItemProgress], None]:
        """Return what shows an extraction's progress. Call it in the task, for its log."""
        log = get_run_logger().info

        def show(progress: ItemProgress) -> None:
            left = progress.seconds_left
            note = f"{progress.items_per_second:.0f} items/s, {progress.failed} failed"
            note += "" if left is None else f", {left:.0f} s left"
            self._show(_items_of(progress.modality), progress.done, progress.total, note, log)

        return show

    def of_epochs(self) -> Callable[[EpochReport], None]:
        """Return what shows a training's progress. Call it in the task, for its log."""
        log = get_run_logger().info
        seconds: list[float] = []
        before = last = 0  # epochs of the run's trainings before this one, and its last one

        def show(report: EpochReport) -> None:
            nonlocal before, last
            before += last if report.epoch <= last else 0
            last = report.epoch
            seconds.append(report.seconds)
            done, total = before + last, before + report.num_epochs + report.num_epochs_after
            left = (total - done) * sum(seconds) / len(seconds)
            best = report.best_valid_mrr
            kept = "" if best is None else f", best valid MRR {best:.4f}"
            note = f"loss {report.loss:.4f}{kept}, {left:.0f} s left"
            self._show(_EPOCHS, done, total, note, log)

        return show

    def items_done(self, modality: str) -> None:
        """Say that the extraction of a modality ended well."""
        self._published.finish(_items_of(modality))

    def epochs_done(self) -> None:
        """Say that the training ended well, though it may have stopped early."""
        self._published.finish(_EPOCHS)

    def _show(
        self, name: str, done: int, total: int, note: str, log: Callable[[str], None]
    ) -> None:
        """Update the bar of that name, and tell it if that was last done long ago."""
        if self._watched:
            if name not in self._ids:
                self._ids[name] = self._bars.add_task(name, total=total, note=note)
            self._bars.update(self._ids[name], completed=done, total=total, note=note)
        now = time.monotonic()
        if now - self._last_told.setdefault(name, now) < SECONDS_BETWEEN:
            return
        self._last_told[name] = now
        note = f"{done} of {total}, {note}"
        if not self._watched:
            log(f"{name}: {note}")
        self._published.tell(name, 100 * done / max(total, 1), note)


def _items_of(modality: str) -> str:
    return f"extract {modality}"
