"""A run that is stopped and started again ends as if it had never been stopped.

`MOCME_KILLS` sets how often trainings are killed before drawn moments, and how often at drawn
times (`make bench`: 25).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killed_trainings
import pytest
from planted_graph import World
from small_training import (
    SMALL_MODEL,
    epochs_of,
    is_drawn_as_logged,
    run_training,
    same_outcome,
    train_config,
)

from model.runs.epoch_report import EpochReport
from model.runs.run_folder import RunFolder
from model.training.train import train

WANTED_KILLS = int(os.environ.get("MOCME_KILLS", "0"))
NUM_KILLS = max(WANTED_KILLS, len(killed_trainings.MOMENTS))
NUM_KILLS_AT_TIMES = max(WANTED_KILLS, 3)

FILES = {
    "graph.json",
    "triples.safetensors",
    "metrics.jsonl",
    "training.json",
    "model.safetensors",
    "scoring.safetensors",
    "tensorboard",
}


class StopError(BaseException):
    """What no part of the program catches."""


def stop_at(epoch: int) -> Callable[[EpochReport], None]:
    """Return a callback that stops the run."""

    def on_epoch(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise StopError

    return on_epoch


def train_until(world: World, run_dir: Path, epoch: int, **changes: Any) -> None:
    """Train until a callback stops the run."""
    config = train_config(**changes)
    with pytest.raises(StopError):
        train(world.graph, world.tables(), SMALL_MODEL, config, run_dir, stop_at(epoch))


class TestStopped:
    @pytest.mark.parametrize("epoch", [1, 2, 3, 4])
    def test_after_an_epoch(
        self, world: World, finished_run: Path, tmp_path: Path, epoch: int
    ) -> None:
        train_until(world, tmp_path, epoch)
        assert not RunFolder(tmp_path).is_finished()
        assert len(epochs_of(tmp_path)) == epoch
        run_training(world, tmp_path)
        assert same_outcome(finished_run, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == FILES

    def test_only_what_was_left_is_trained(self, world: World, tmp_path: Path) -> None:
        train_until(world, tmp_path, 3)
        reports: list[EpochReport] = []
        train(world.graph, world.tables(), SMALL_MODEL, train_config(), tmp_path, reports.append)
        assert [report.epoch for report in reports] == [4]

    @pytest.mark.parametrize(
        "changes",
        [
            {"optimizer": "adam", "learning_rate": 0.01},
            {"negatives": {"mode": "sampled", "sampler": "bernoulli", "num": 8}},
            {"epochs": 6, "eval_every": 1, "patience": 1, "learning_rate": 1e-12},
        ],
        ids=["adam", "sampled", "early stop"],
    )
    def test_with_other_options(
        self, world: World, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        whole = run_training(world, tmp_path / "whole", **changes)
        train_until(world, tmp_path / "stopped", 1, **changes)
        assert same_outcome(whole, run_training(world, tmp_path / "stopped", **changes))

    def test_the_best_epoch_may_lie_before_the_stop(self, world: World, tmp_path: Path) -> None:
        changes = {"epochs": 5, "eval_every": 1, "learning_rate": 1e-12}
        whole = run_training(world, tmp_path / "whole", **changes)
        stopped = tmp_path / "stopped"
        train_until(world, stopped, 3, **changes)
        reports: list[EpochReport] = []
        config = train_config(**changes)
        train(world.graph, world.tables(), SMALL_MODEL, config, stopped, reports.append)
        assert same_outcome(whole, stopped)
        summary = json.loads((stopped / "training.json").read_text())
        other = json.loads((whole / "training.json").read_text())
        assert {key for key in summary if summary[key] != other[key]} <= {"files", "checksum"}
        assert summary["best_epoch"] < reports[0].epoch
        assert {report.best_valid_mrr for report in reports} == {summary["best_valid_mrr"]}
        log = RunFolder(stopped).read_log()
        assert len(log) > len(reports)
        assert RunFolder(stopped).seconds_trained() == sum(epoch["seconds"] for epoch in log)

    def test_at_whatever_file_was_to_be_written_next(
        self, world: World, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stops before every file is put in place: the nth start gets n files further."""
        put_in_place, allowed, starts = Path.replace, [0], 0

        def counted(self: Path, target: Path) -> Path:
            if not allowed[0]:
                raise StopError
            allowed[0] -= 1
            return put_in_place(self, target)

        monkeypatch.setattr(Path, "replace", counted)
        while not RunFolder(tmp_path).is_finished():
            starts += 1
            allowed[0] = starts
            try:
                run_training(world, tmp_path)
            except StopError:
                assert starts < 20
        assert starts > 4, "the case must stop the run several times"
        assert same_outcome(finished_run, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == FILES


class TestKilled:
    """By SIGKILL: before drawn steps, evaluations, writes and the like, and at drawn times."""

    @pytest.fixture(scope="class")
    def runs(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("killed")

    @pytest.fixture(scope="class")
    def killed(self, runs: Path) -> dict[str, str]:
        """Runs that were killed and then went on to the end: what each was killed before."""
        command = [sys.executable, killed_trainings.__file__, str(runs)]
        command += ["--kills", str(NUM_KILLS), "--kills-at-times", str(NUM_KILLS_AT_TIMES)]
        path = os.pathsep.join(sys.path)
        found = subprocess.run(
            command, check=True, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE
        )
        return dict(json.loads(found.stdout))

    def test_every_kind_of_moment_was_met(self, killed: dict[str, str]) -> None:
        assert set(killed.values()) == {*killed_trainings.MOMENTS, "any"}
        assert len(killed) > NUM_KILLS, "some at a drawn time"

    def test_fusion_depends_on_what_was_measured(self, runs: Path, killed: dict[str, str]) -> None:
        """Else the case would not tell whether that survives."""
        names = ("strength/image", "strength/text")
        strengths = [[epoch[name] for name in names] for epoch in epochs_of(runs / "whole")]
        assert strengths[0] != strengths[2] == strengths[4]

    def test_ends_as_if_not_killed(self, runs: Path, killed: dict[str, str]) -> None:
        for name, moment in killed.items():
            for part in (".", "final"):
                whole, found = runs / "whole" / part, runs / name / part
                assert same_outcome(whole, found), f"{part}, killed before: {moment}"
                assert is_drawn_as_logged(found), f"{part}, killed before: {moment}"

    def test_leaves_nothing_behind(self, runs: Path, killed: dict[str, str]) -> None:
        for name, moment in killed.items():
            for part, files in ((".", {*FILES, "final"}), ("final", FILES)):
                left = {path.name for path in (runs / name / part).iterdir()}
                assert left == files, f"{part}, killed before: {moment}"
                assert len(list((runs / name / part / "tensorboard").iterdir())) == 1
