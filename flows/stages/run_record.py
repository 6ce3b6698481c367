"""What one run of the flows did: the object behind `--json` and the summary."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from extractors.report import Counts
from flows.configs.pipeline_config import PipelineConfig
from flows.stages.keys import Stage
from flows.stages.run_inputs import RunInputs
from flows.stages.stage import Outcome

_SPLITS = ("test", "test_clean", "valid")


@dataclass
class RunRecord:
    """Fills up while the stages run, so that a failed run can still say what it did.

    Attributes:
        extracted: Counts of each modality.
        stages: What became of each stage that was reached.
        evaluation: Everything that the evaluation found.
        run_dir: Folder of the run.
        failures_file: The report of the items that failed, if any did.
        warnings: Of each modality of which almost every item failed.
        reading_seconds: How long the dataset took to read and to check.
        prefect_started: Whether Prefect was started; it is not for input that is refused.
        error: What stopped the run.
        inputs: What was read before the flow; None if the flow reads it.
    """

    extracted: dict[str, Counts] = field(default_factory=dict)
    stages: dict[Stage, Outcome] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    run_dir: Path | None = None
    failures_file: Path | None = None
    warnings: list[str] = field(default_factory=list)
    reading_seconds: float = 0.0
    prefect_started: bool = False
    error: str | None = None
    inputs: RunInputs | None = field(default=None, repr=False)

    def inputs_for(self, config: PipelineConfig) -> RunInputs:
        """Return what was read for a config before the flow; nothing, if it was for another."""
        if self.inputs is not None and self.inputs.config == config:
            return self.inputs
        return RunInputs(config)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Ranking metrics of each split."""
        return {split: self.evaluation[split] for split in _SPLITS if split in self.evaluation}

    def as_json(self, *, extraction_only: bool = False) -> dict[str, Any]:
        """Return the object that `--json` prints.

        Args:
            extraction_only: Whether to leave out what a training has and an extraction has not.
        """
        failures = self.failures_file
        whole: dict[str, Any] = {
            "extracted": {name: asdict(counts) for name, counts in self.extracted.items()},
            "stages": {stage: outcome.status for stage, outcome in self.stages.items()},
            "failures": None if failures is None else str(failures),
        }
        if not extraction_only:
            whole["metrics"] = self.metrics
            whole["run_dir"] = None if self.run_dir is None else str(self.run_dir)
        if self.warnings:
            whole["warnings"] = self.warnings
        return whole if self.error is None else {**whole, "error": self.error}


_expected: ContextVar[RunRecord | None] = ContextVar("expected_record", default=None)


def start_record() -> RunRecord:
    """Begin the record that the next flow of this context shall fill."""
    record = RunRecord()
    _expected.set(record)
    return record


def take_record() -> RunRecord:
    """Return the record that a flow shall fill: the one its caller began, else a new one."""
    record = _expected.get() or RunRecord()
    _expected.set(None)
    return record
