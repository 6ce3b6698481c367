"""Trains what is proposed, stops what is not worth its time, and goes on after a stop.

A trial is a `mocme train` of the config with some values overridden. Trial 0 is the config as it
stands, so what is found is never worse than that on valid. Test is not looked at.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from flows.configs.changes import with_values
from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.configs.writing import write_config
from flows.exit_codes import INPUT_ERROR
from flows.stages.keys import train_key
from flows.stages.manifest import Manifest
from flows.stages.staged_run import StagedRun
from mocme.study_progress import StudyProgress
from mocme.training_pool import FINAL_OF_STUDIES, TrainingError, TrainingPool
from mocme.tuning.journal import journal
from mocme.tuning.proposals import RUN, Proposals
from mocme.tuning.results import TrialResult, Tuned, result_of, results_of
from mocme.tuning.space import Space, TuningError

if TYPE_CHECKING:
    from optuna.trial import Trial

_TRIAL = "trial"
"""Kind of every run: trials differ in what they try, not in what takes time."""


def tune(
    config: PipelineConfig,
    space: Space,
    folder: Path,
    num_trials: int,
    num_processes: int,
    on_trial: Callable[[TrialResult], None],
    progress: StudyProgress | None = None,
) -> Tuned:
    """Try values until there are that many trials in all, those of earlier calls included.

    Args:
        config: What is tuned.
        space: Where to search.
        folder: Where trials are remembered, and their runs kept.
        num_trials: Trials in all, the config as it stands included.
        num_processes: Trainings at once; the processor's threads are shared out.
        on_trial: Called with each trial that has ended.
        progress: Counts the trials; it is up to date when `on_trial` is called.

    Raises:
        MocmeError: If the config cannot be trained, or another tuning is at work in the folder.
    """
    with journal(folder) as storage:
        config_file = folder / "config.yaml"
        values = {"runs": folder / "runs", "train.final": FINAL_OF_STUDIES}
        write_config(with_values(config, values), config_file)
        pool = TrainingPool(num_processes)
        progress = progress or StudyProgress(num_processes)
        progress.expect([_TRIAL] * num_trials)
        first = progress.begin(_TRIAL)
        base = StagedRun(pool.train(config_file))
        manifest = base.manifest("train")
        if manifest is None:
            raise TuningError(f"{base.path}: found no finished training; allowed: one")
        proposals = Proposals(storage, manifest.key, space, config.train, at_once=num_processes > 1)
        is_first = proposals.begin(config, dict(evaluations(base.path)), base.path.name)
        if is_first:
            progress.end(first)
            on_trial(result_of(proposals.study.trials[0], config, space))
        else:
            progress.drop(first)
        proposals.take_up_interrupted()
        for _ in range(min(num_trials, proposals.num_done) - progress.num_done):
            progress.found(_TRIAL)
        trials = _Trials(config, config_file, manifest, proposals, pool, on_trial, progress)
        pool.map(trials.run_next, range(num_trials - proposals.num_done))
        return results_of(proposals.study, config, space)


def evaluations(run_dir: Path) -> list[tuple[int, float]]:
    """Return the epochs of a run that ended with an evaluation, each with its MRR on valid."""
    from model.runs.run_folder import RunFolder  # imports torch

    folder = RunFolder(run_dir)
    found = [(it["epoch"], it["valid_mrr"]) for it in folder.read_log()]
    measured = [(epoch, mrr) for epoch, mrr in found if mrr is not None]
    is_lost = not measured and folder.is_finished()  # the log is, not the training
    return [folder.read_best()] if is_lost else measured


class _Trials:
    """Makes trials.

    Args:
        config: What is tuned.
        config_file: The same, for the trials to override.
        base: Manifest of the training of that config.
        proposals: What to try.
        pool: Trains.
        on_trial: Called with each trial that has ended.
        progress: Counts the trials.
    """

    def __init__(
        self,
        config: PipelineConfig,
        config_file: Path,
        base: Manifest,
        proposals: Proposals,
        pool: TrainingPool,
        on_trial: Callable[[TrialResult], None],
        progress: StudyProgress,
    ) -> None:
        self._config, self._config_file, self._base = config, config_file, base
        self._proposals, self._pool, self._on_trial = proposals, pool, on_trial
        self._progress = progress
        self._alone: Mapping[str, Lock] = defaultdict(Lock)

    def run_next(self, _: int) -> None:
        """Make one trial; a stop of the whole leaves it begun."""
        from optuna import TrialPruned

        trial, number = self._proposals.next(), self._progress.begin(_TRIAL)
        try:
            mrr = self._train(trial)
        except TrialPruned:
            self._proposals.end(trial, None)
        except TrainingError as error:
            if error.exit_code == INPUT_ERROR:
                raise
            self._proposals.end(trial, None, str(error))
        else:
            self._proposals.end(trial, mrr)
        ended = self._proposals.study.trials[trial.number]
        self._progress.end(number)
        self._on_trial(result_of(ended, self._config, self._proposals.space))

    def _train(self, trial: "Trial") -> float:
        """Train with a trial's values and return the best MRR on valid."""
        overrides = [f"{key}={json.dumps(value)}" for key, value in trial.params.items()]
        run = self._run_of(load_config(self._config_file, overrides))
        trial.set_user_attr(RUN, run.path.name)
        with self._alone[run.path.name]:  # equal values may be tried twice at once
            found = self._train_watched(trial, overrides, run)
        if found != run.path:
            raise TuningError(
                f"{found}: found a run of other data than trial 0 was trained on; allowed: a "
                "dataset that stays as it is while it is tuned to"
            )
        return max(mrr for _, mrr in evaluations(found))

    def _train_watched(self, trial: "Trial", overrides: Sequence[str], run: StagedRun) -> Path:
        """Train; of a training that does not get to its end nothing is left."""
        from optuna import TrialPruned

        try:
            return self._pool.train(self._config_file, overrides, _Watch(trial, run.path))
        except (TrialPruned, TrainingError):
            run.discard_unfinished()
            raise

    def _run_of(self, config: PipelineConfig) -> StagedRun:
        """Return the run that a config will be trained in: it reads what the base's has read."""
        contents = {name: it["content"] for name, it in self._base.parts["modalities"].items()}
        key = train_key(config, self._base.parts["graph"], contents)
        return StagedRun.of(config.runs, key)


class _Watch:
    """Tells Optuna of every evaluation of a running training, and ends it if that says so.

    Args:
        trial: Whose training it is.
        run_dir: Where it logs.
    """

    def __init__(self, trial: "Trial", run_dir: Path) -> None:
        self._trial, self._run_dir = trial, run_dir
        self._last_epoch = 0

    def __call__(self) -> None:
        """Look at what is new.

        Raises:
            TrialPruned: If the trial is not worth going on with.
        """
        from optuna import TrialPruned

        for epoch, mrr in evaluations(self._run_dir):
            if epoch > self._last_epoch:
                self._last_epoch = epoch
                self._trial.report(mrr, epoch)
                if self._trial.should_prune():
                    raise TrialPruned
