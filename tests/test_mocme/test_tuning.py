"""`mocme tune`: what is tried, what is stopped, and going on after any kind of stop."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from filelock import FileLock
from killed_tuning import main as killed_tuning
from plain_trainings import BEST_LEARNING_RATE, PlainTrainings, mrr_of

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.stages.staged_run import finished_runs
from mocme.training_pool import TrainingError
from mocme.tuning.report import columns_of, describe, rows_of, write_best
from mocme.tuning.results import TrialResult, Tuned, results_of
from mocme.tuning.space import Space, TuningError, search_space
from mocme.tuning.study import tune
from storage.errors import MocmeError


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    """Structure alone, at a learning rate that is far from the best."""
    return with_rate(tmp_path, 0.3)


def with_rate(folder: Path, rate: float, **train: object) -> PipelineConfig:
    file = folder / "mocme.yaml"
    described = {"epochs": 10, "learning_rate": rate, **train}
    file.write_text(json.dumps({"dataset": "data", "runs": "runs", "train": described}))
    return load_config(file)


def run(
    config: PipelineConfig,
    num_trials: int,
    space: Space | None = None,
    num_processes: int = 1,
    on_trial: Callable[[TrialResult], None] = lambda trial: None,
) -> Tuned:
    where = search_space(config) if space is None else space
    return tune(config, where, config.runs / "tuning", num_trials, num_processes, on_trial)


class TestTrials:
    def test_the_config_itself_is_the_first(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainings = PlainTrainings().take_over(monkeypatch)
        tuned = run(config, 1)
        assert trainings.begun == [()]
        assert [trial.number for trial in tuned.trials] == [0]
        assert tuned.best.valid_mrr == pytest.approx(mrr_of(config, 10))
        assert tuned.best.values["train.learning_rate"] == 0.3

    def test_what_is_found_is_better_and_never_worse(
        self, config: PipelineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        tuned = run(config, 20)
        assert tuned.best.valid_mrr > 1.5 * mrr_of(config, 10)
        trained = [trial.valid_mrr for trial in tuned.trials if trial.outcome == "trained"]
        assert trained == sorted(trained, reverse=True)
        good = with_rate(tmp_path, BEST_LEARNING_RATE, epochs=9)
        only = search_space(good, ["train.learning_rate=0.5..1"])
        assert run(good, 6, only).best.number == 0

    def test_values_stay_in_their_ranges(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        over = ["model.dim=10..30", "train.learning_rate=0.01..0.02", "model.scorer=rotate"]
        found = run(config, 12, search_space(config, over)).trials
        tried = [trial.values for trial in found if trial.number]
        assert {values["model.dim"] % 2 for values in tried} == {0}
        assert all(10 <= values["model.dim"] <= 30 for values in tried)
        assert all(0.01 <= values["train.learning_rate"] <= 0.02 for values in tried)
        assert {values["model.scorer"] for values in tried} == {"rotate"}
        first = next(trial.values for trial in found if trial.number == 0)
        assert (first["model.dim"], first["model.scorer"]) == (200, "complex")

    def test_the_seed_says_what_is_tried(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        found = []
        for name, seed in (("first", 0), ("again", 0), ("other", 1)):
            (tmp_path / name).mkdir()
            found.append(run(with_rate(tmp_path / name, 0.3, seed=seed), 14).trials)
        assert found[0] == found[1]
        assert found[0] != found[2]

    def test_another_config_or_space_is_another_study(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        config = with_rate(tmp_path, 0.3)
        run(config, 3)
        narrow = search_space(config, ["model.dim=10..20"])
        assert len(run(config, 2, narrow).trials) == 2
        assert len(run(with_rate(tmp_path, 0.2), 2).trials) == 2
        assert len(run(config, 3).trials) == 3

    def test_several_processes_make_as_many_trials(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainings = PlainTrainings().take_over(monkeypatch)
        ended: list[int] = []
        tuned = run(config, 12, num_processes=4, on_trial=lambda it: ended.append(it.number))
        assert sorted(trial.number for trial in tuned.trials) == sorted(ended) == [*range(12)]
        assert len(trainings.begun) == 12


class TestStoppedTrials:
    def test_what_is_behind_is_stopped_and_leaves_nothing(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainings = PlainTrainings().take_over(monkeypatch)
        tuned = run(config, 20)
        pruned = [trial for trial in tuned.trials if trial.outcome == "pruned"]
        assert pruned
        assert len(tuned.trials) == 20
        runs = config.runs / "tuning" / "runs"
        for trial in pruned:
            assert 2 <= trial.epochs < 10
            assert trainings.epochs[trial.number] == trial.epochs, "no epoch after the decision"
            assert not (runs / trial.run).exists()
        trained = {trial.run for trial in tuned.trials if trial.outcome == "trained"}
        assert {path.name for path in runs.iterdir()} == trained
        assert {folder.path.name for folder, _ in finished_runs(runs)} == trained
        assert finished_runs(config.runs) == []

    def test_a_training_that_fails_is_a_bad_trial(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings(failing(2, exit_code=1)).take_over(monkeypatch)
        failed = run(config, 4).trials[-1]
        assert (failed.outcome, failed.number, failed.valid_mrr) == ("failed", 2, None)
        assert failed.error == "the loss is nan"
        assert describe(failed).endswith("\n  the loss is nan")
        assert not (config.runs / "tuning" / "runs" / failed.run).exists()
        assert len(run(config, 4).trials) == 4, "it is not tried again"

    def test_what_the_user_can_mend_ends_the_tuning(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings(failing(2, exit_code=2)).take_over(monkeypatch)
        with pytest.raises(TrainingError, match="the loss is nan"):
            run(config, 4)


def failing(failing_number: int, exit_code: int) -> Callable[[int, int], None]:
    def fails(number: int, epoch: int) -> None:
        if number == failing_number:
            raise TrainingError("the loss is nan", exit_code)

    return fails


class TestGoingOn:
    def test_a_second_call_goes_on_to_as_many_in_all(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trainings = PlainTrainings().take_over(monkeypatch)
        run(config, 4)
        ended: list[int] = []
        tuned = run(config, 6, on_trial=lambda it: ended.append(it.number))
        assert len(tuned.trials) == len(trainings.begun) == 6
        assert ended == [4, 5]
        run(config, 6)
        run(config, 2)
        assert len(trainings.begun) == 6

    @pytest.mark.slow
    def test_after_a_kill_it_ends_as_without(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configs = []
        for name in ("killed", "whole"):
            (tmp_path / name).mkdir()
            configs.append(with_rate(tmp_path / name, 0.3))
        for number in (5, 0):  # the second is killed in the first training that it has to begin
            command = [sys.executable, killed_tuning.__code__.co_filename]
            command += [str(tmp_path / "killed" / "mocme.yaml"), str(number)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == -signal.SIGKILL, done.stderr
        trainings = PlainTrainings().take_over(monkeypatch)
        killed, whole = (run(config, 8).trials for config in configs)
        assert [unnumbered(trial) for trial in killed] == [unnumbered(trial) for trial in whole]
        assert len(trainings.begun) == 8 + 3
        runs = [config.runs / "tuning" / "runs" for config in configs]
        assert [it.name for it in sorted(runs[0].iterdir())] == [
            it.name for it in sorted(runs[1].iterdir())
        ]

    def test_half_a_line_and_a_forgotten_lock_do_no_harm(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        run(config, 3)
        journal = config.runs / "tuning" / "studies.jsonl"
        journal.write_bytes(journal.read_bytes()[:-9])
        journal.with_name("studies.jsonl.lock").symlink_to(journal)
        assert len(run(config, 4).trials) == 4
        assert len(run(config, 5).trials) == 5
        for line in journal.read_text().splitlines():
            assert isinstance(json.loads(line), dict)

    @pytest.mark.parametrize("name", ["config.yaml", "studies.jsonl", "notes.txt"])
    def test_a_folder_of_the_users_is_left_alone(self, config: PipelineConfig, name: str) -> None:
        folder = config.runs / "tuning"
        folder.mkdir(parents=True)
        (folder / name).write_text("half a line of mine")
        with pytest.raises(MocmeError, match=r"tuning.*: found .*; allowed"):
            run(config, 3)
        assert (folder / name).read_text() == "half a line of mine"
        assert {path.name for path in folder.iterdir()} <= {name, ".lock"}

    def test_one_at_a_time(self, config: PipelineConfig) -> None:
        folder = config.runs / "tuning"
        folder.mkdir(parents=True)
        with FileLock(folder / ".lock"), pytest.raises(TuningError, match="found a tuning at work"):
            run(config, 3)


def unnumbered(trial: TrialResult) -> dict[str, object]:
    return {**vars(trial), "number": None}


class TestReport:
    def test_only_what_was_trained_to_its_end_can_be_the_best(self, config: PipelineConfig) -> None:
        """A trial that was stopped has no run to look at."""
        study = optuna.create_study(direction="maximize")
        space = search_space(config, ["model.dim"])
        where = {"model.dim": optuna.distributions.IntDistribution(2, 512)}
        for mrr, state in ((0.2, "COMPLETE"), (0.9, "PRUNED"), (0.3, "COMPLETE")):
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[state],
                    value=mrr,
                    params={"model.dim": 8},
                    distributions=where,
                    intermediate_values={5: mrr},
                    user_attrs={"run": "a"},
                )
            )
        found = results_of(study, config, space)
        assert [trial.valid_mrr for trial in found.trials] == [0.3, 0.2, 0.9]

    def test_the_best_is_a_config_of_its_own(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        tuned = run(config, 15)
        trials = load_config(config.runs / "tuning" / "config.yaml")
        assert (trials.train.final, config.train.final) == ("selected", "auto")
        write_best(tuned, config, config.runs / "tuning" / "best.yaml")
        best = load_config(config.runs / "tuning" / "best.yaml")
        assert (best.dataset, best.store, best.runs) == (config.dataset, config.store, config.runs)
        assert mrr_of(best, 10) == pytest.approx(tuned.best.valid_mrr)
        assert best.train.epochs == config.train.epochs
        assert best.train.final == config.train.final
        assert best.train.learning_rate == tuned.best.values["train.learning_rate"]

    def test_the_table_shows_the_best_and_the_config(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        tuned = run(with_rate(config.runs.parent, 1.0), 25)
        rows = rows_of(tuned)
        assert len(rows) == 11
        assert rows[0][0] == str(tuned.best.number)
        assert rows[-1][0] == "0", "far behind, and shown all the same"
        assert {len(row) for row in rows} == {len(columns_of(tuned))}

    def test_what_matters_is_told_once_there_is_enough_to_tell(
        self, config: PipelineConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        PlainTrainings().take_over(monkeypatch)
        over = search_space(config, ["train.learning_rate", "train.batch_size"])
        assert run(config, 5, over).importances == {}
        found = run(config, 40, over).importances
        assert found["train.learning_rate"] > 0.8 > found["train.batch_size"]
