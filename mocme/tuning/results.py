"""What a tuning found: its trials, the best of them, and what mattered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from warnings import catch_warnings, simplefilter

from flows.configs.pipeline_config import PipelineConfig
from mocme.tuning.fields import value_of
from mocme.tuning.proposals import ERROR, RUN
from mocme.tuning.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_LEAST_TRAINED = 10
"""Trials that were trained to the end, from which on it can be told what mattered."""


@dataclass(frozen=True)
class TrialResult:
    """A trial that has ended.

    Attributes:
        number: Its number; 0 is the config as it stands. Interrupted ones leave gaps.
        outcome: Whether it was trained to its end, was stopped, or failed.
        valid_mrr: Best MRR on valid; None: there was no evaluation.
        epochs: Epochs until the last evaluation.
        values: What it was trained with, by key.
        run: Name of its run's folder, which is there if it was trained to its end.
        error: Why it failed.
    """

    number: int
    outcome: Literal["trained", "pruned", "failed"]
    valid_mrr: float | None
    epochs: int
    values: Mapping[str, Any]
    run: str
    error: str | None


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Attributes:
        trials: Those that were trained first, and among them the best.
        importances: Share that each field has in the differences in MRR; empty: too few trials.
    """

    trials: list[TrialResult]
    importances: Mapping[str, float]

    @property
    def best(self) -> TrialResult:
        """The trial with the best MRR on valid, the first of equals."""
        return self.trials[0]


def results_of(study: "Study", config: PipelineConfig, space: Space) -> Tuned:
    """Return what a study has found so far, trials that have not ended aside."""
    ended = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    results = [result_of(trial, config, space) for trial in ended]
    ordered = sorted(results, key=lambda it: (it.outcome != "trained", -(it.valid_mrr or 0.0)))
    return Tuned(ordered, _importances(study, space))


def result_of(trial: "FrozenTrial", config: PipelineConfig, space: Space) -> TrialResult:
    """Describe a trial that has ended.

    Args:
        trial: The trial.
        config: What is tuned, which has the values of trial 0 that are outside of the space.
        space: Where was searched.
    """
    error = trial.user_attrs.get(ERROR)
    stopped: Literal["pruned", "failed"] = "pruned" if error is None else "failed"
    evaluations = trial.intermediate_values
    return TrialResult(
        trial.number,
        "trained" if trial.state.name == "COMPLETE" else stopped,
        max(evaluations.values(), default=None),
        max(evaluations, default=0),
        {key: trial.params.get(key, value_of(config, key)) for key in space},
        trial.user_attrs[RUN],
        error,
    )


def _importances(study: "Study", space: Space) -> dict[str, float]:
    from optuna.importance import get_param_importances

    trained = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    whole = [trial for trial in trained if trial.params.keys() == space.keys()]
    if len(whole) < _LEAST_TRAINED:
        return {}
    with catch_warnings():
        simplefilter("ignore")  # of rare values among choices, whose shares are small
        return get_param_importances(study, params=list(space))
