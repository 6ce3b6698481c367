"""The best trials as a table, and the best of all as a config."""

from pathlib import Path
from typing import Any

from flows.configs.changes import with_values
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.writing import write_config
from mocme.tuning.results import TrialResult, Tuned

_NUM_SHOWN = 10
_NO_VALUE = ""


def columns_of(tuned: Tuned) -> list[str]:
    """Return the table's heading."""
    keys = [key.replace(".", ".\n") for key in tuned.best.values]
    return ["trial", "valid MRR", "epochs", "outcome", *keys]


def rows_of(tuned: Tuned) -> list[list[str]]:
    """Return a row for each of the best trials, and for the config as it stands."""
    first = [trial for trial in tuned.trials[_NUM_SHOWN:] if trial.number == 0]
    return [_row(trial) for trial in (*tuned.trials[:_NUM_SHOWN], *first)]


def describe(trial: TrialResult) -> str:
    """Say what became of a trial, and of one that failed, why."""
    mrr = "no evaluation" if trial.valid_mrr is None else f"valid MRR {trial.valid_mrr:.4f}"
    values = " ".join(f"{key}={_shown(value)}" for key, value in trial.values.items())
    reason = "" if trial.error is None else f"\n  {trial.error.splitlines()[-1]}"
    return f"trial {trial.number}: {trial.outcome}, {mrr}, {values}{reason}"


def write_best(tuned: Tuned, config: PipelineConfig, path: Path) -> None:
    """Write the best trial's config, for `mocme run`.

    Args:
        tuned: What was found.
        config: What was tuned.
        path: The file.
    """
    best = tuned.best
    comment = (
        f"trial {best.number}, the best of {len(tuned.trials)} that `mocme tune` has made: "
        f"valid MRR {best.valid_mrr:.4f}"
    )
    write_config(with_values(config, best.values), path, comment)


def _row(trial: TrialResult) -> list[str]:
    mrr = _NO_VALUE if trial.valid_mrr is None else f"{trial.valid_mrr:.4f}"
    values = [_shown(value) for value in trial.values.values()]
    return [str(trial.number), mrr, str(trial.epochs), trial.outcome, *values]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
