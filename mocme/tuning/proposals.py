"""Which values are tried next, and which trials are worth their time: Optuna's part in a tuning.

Every proposal follows from the config's seed, the number of trials before it and what they gave,
so a tuning that was stopped proposes what it would have proposed without the stop. With several
processes it also depends on which of them is done first.
"""

import hashlib
import json
from threading import Lock
from typing import TYPE_CHECKING, Any

from flows.configs.pipeline_config import PipelineConfig
from mocme.tuning.fields import value_of
from mocme.tuning.space import Choices, Numbers, Space
from model.config import TrainConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage
    from optuna.trial import Trial

RUN, ERROR = "run", "error"
"""What is kept of a trial beside its values: its run's folder, and why it failed."""

_DONE = ("COMPLETE", "PRUNED")
_TRIALS_BEFORE_PRUNING = 5
_NEVER_PRUNED = 1 / 3
"""Share of the epochs in which no trial is stopped: what learns slowly may end high."""


class Proposals:
    """The trials of one config, data and space, whichever call of the command they were made in.

    Args:
        storage: Where they are kept.
        trained: Digest of all that determines the training of the config as it stands.
        space: Where to search.
        train: The config's section, which has the seed.
        at_once: Whether several trials are made at once.
    """

    def __init__(
        self,
        storage: "JournalStorage",
        trained: str,
        space: Space,
        train: TrainConfig,
        *,
        at_once: bool,
    ) -> None:
        import optuna  # takes a while

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self._seed, self._at_once, self._lock = train.seed, at_once, Lock()
        self._distributions = {key: _distribution(where) for key, where in space.items()}
        described = {
            key: optuna.distributions.distribution_to_json(found)
            for key, found in sorted(self._distributions.items())
        }
        name = hashlib.sha256(json.dumps([trained, described]).encode()).hexdigest()
        self.study: Study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_TRIALS_BEFORE_PRUNING,
                n_warmup_steps=round(train.epochs * _NEVER_PRUNED),
            ),
        )

    @property
    def num_done(self) -> int:
        """Trials that have a result, be it that they were stopped or failed."""
        return sum(trial.state.name in _DONE for trial in self.study.trials)

    def begin(self, config: PipelineConfig, mrr_by_epoch: dict[int, float], run: str) -> bool:
        """Note the config as it stands as trial 0; return whether that was still to be done.

        Args:
            config: The config; values that are outside of the space are left out.
            mrr_by_epoch: Its evaluations on valid.
            run: Name of its run's folder.
        """
        from optuna.trial import create_trial

        if self.num_done:
            return False
        values = {key: value_of(config, key) for key in self.space}
        inside = {
            key: found
            for key, found in self._distributions.items()
            if _is_inside(found, values[key])
        }
        trial = create_trial(
            value=max(mrr_by_epoch.values()),
            params={key: values[key] for key in inside},
            distributions=inside,
            intermediate_values=mrr_by_epoch,
            user_attrs={RUN: run},
        )
        self.study.add_trial(trial)
        return True

    def take_up_interrupted(self) -> None:
        """Let the trials that a killed call was at be tried again, with the same values."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def next(self) -> "Trial":
        """Propose values."""
        from optuna.samplers import TPESampler

        with self._lock:
            before = sum(trial.state.name in (*_DONE, "RUNNING") for trial in self.study.trials)
            seed = self._seed * 1_000_003 + before
            self.study.sampler = TPESampler(seed=seed, constant_liar=self._at_once)
            return self.study.ask(self._distributions)

    def end(self, trial: "Trial", mrr: float | None, error: str | None = None) -> None:
        """Note what became of a trial.

        Args:
            trial: The trial.
            mrr: The best MRR on valid; None: it did not get to its end.
            error: Why it failed, if it did. It counts as one that was stopped at once.
        """
        from optuna.trial import TrialState

        if error is not None:
            trial.set_user_attr(ERROR, error)
        with self._lock:
            if mrr is None:
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, mrr)


def _distribution(where: Numbers | Choices) -> "BaseDistribution":
    from optuna import distributions

    if isinstance(where, Choices):
        return distributions.CategoricalDistribution(where.values)
    if where.step is None:
        return distributions.FloatDistribution(where.low, where.high, log=where.log)
    low, high, step = int(where.low), int(where.high), where.step
    return distributions.IntDistribution(low, high - (high - low) % step, where.log, step)


def _is_inside(distribution: "BaseDistribution", value: Any) -> bool:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return bool(distribution._contains(value))
