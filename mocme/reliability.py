"""What the probabilities of a run rest on, and how far they were off on facts held out."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flows.stages.manifest import EVALUATION_FILE
from flows.stages.staged_run import CONFIG_FILE, PLACED_FOLDER, StagedRun
from flows.terminal.output import print_line
from model.probability.calibration_gap import calibration_gap, is_off
from model.runs.missing_share import read_missing_share
from storage.errors import MocmeError


@dataclass(frozen=True)
class Reliability:
    """What a run's probabilities rest on.

    Attributes:
        missing_share: Share of all facts that is assumed to be missing.
        is_stated: Whether the config states it; else it is the share held out, or the most that can
            be missing where that is less.
        most_missing: Share that can be missing at most, by what came true of facts held out.
        gap: How much more was promised of held-out facts than came true; None where that was not
            measured. Below 0, less was promised.
    """

    missing_share: float
    is_stated: bool
    most_missing: float
    gap: float | None

    @property
    def is_off(self) -> bool:
        """Whether so much that digits of probabilities mean nothing."""
        return self.gap is not None and is_off(self.gap)

    @property
    def lines(self) -> tuple[str, ...]:
        """What to say beside probabilities, a sentence each."""
        return tuple(it for it in (self._assumption, self._excess, self._miss) if it is not None)

    @property
    def _assumption(self) -> str:
        """On what they rest."""
        source = "the share held out; predict.missing_share states it"
        if self.missing_share >= self.most_missing:
            source = "no more can be, by what came true of held-out facts"
        if self.is_stated:
            source = "as predict.missing_share states"
        missing = _percent(self.missing_share)
        return f"probabilities hold if {missing} of the facts are missing ({source})"

    @property
    def _excess(self) -> str | None:
        """That more is stated to be missing than can be."""
        if self.missing_share <= self.most_missing:
            return None
        return (
            f"no more than {_percent(self.most_missing)} of the facts can be missing, by what came "
            "true of held-out facts, so probabilities are too high"
        )

    @property
    def _miss(self) -> str | None:
        """That they were off by so much that digits mean nothing."""
        if self.gap is None or not self.is_off:
            return None
        direction = "high" if self.gap > 0 else "low"
        return (
            f"probabilities of this run are too {direction} by {abs(self.gap):.2f} on held-out "
            "facts: read them as more or less probable"
        )

    def shown(self, probability: float) -> float | str:
        """Return a predicted probability for a table, with one digit where more mean nothing."""
        return f"~{probability:.1f}" if self.is_off else probability

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "missing_share": self.missing_share,
            "missing_share_is_stated": self.is_stated,
            "most_missing": self.most_missing,
            "gap_on_held_out": self.gap,
            "is_off": self.is_off,
        }


def read_reliability(run: StagedRun) -> Reliability:
    """Read what a run's probabilities rest on; of placed entities, the run's that placed them.

    Raises:
        MocmeError: If what the training left, or the run's config, is damaged.
    """
    has_config = (run.path / CONFIG_FILE).exists()  # a training that no flow made has none
    stated = run.config().predict.missing_share if has_config else None
    missing = read_missing_share(run.path)
    measured = StagedRun(run.path.parent) if run.path.name == PLACED_FOLDER else run
    gap = None
    if (measured.path / EVALUATION_FILE).exists():
        with suppress(MocmeError):  # damaged: `mocme evaluate` says so
            gap = calibration_gap(measured.evaluation().get("calibration") or {})
    assumed = missing.assumed if stated is None else stated
    return Reliability(assumed, stated is not None, missing.most, gap)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def print_reliability(found: Reliability) -> None:
    """Print what to say beside probabilities, a line each."""
    for line in found.lines:
        print_line(line)
