"""Trainings in processes of their own: real ones, ended and gone on with."""

import subprocess
import time
from pathlib import Path

import psutil
import pytest
from small_runs import SMALL

from flows.configs.pipeline_config import load_config
from flows.configs.writing import write_config
from flows.stages.staged_run import StagedRun, finished_runs
from mocme.training_pool import TrainingError, TrainingPool, TrainingStoppedError
from storage.isolation import python_command, python_environment

LONG = ("modalities={}", "train.epochs=400", "train.patience=400")


class Enough(Exception):  # noqa: N818 - as Optuna's TrialPruned, no error
    """What somebody who watches a training raises."""


def metrics_below(runs: Path) -> list[Path]:
    return list(runs.glob("*/metrics.jsonl"))


def test_who_watches_ends_a_training_and_another_goes_on(extracted: Path) -> None:
    runs = extracted / "data" / "runs"

    def watch() -> None:
        if metrics_below(runs):
            raise Enough

    pool = TrainingPool(1)
    overrides = (*SMALL, *LONG)
    with pytest.raises(Enough):
        pool.train(extracted / "mocme.yaml", overrides, watch)
    assert finished_runs(runs) == []
    (log,) = metrics_below(runs)
    folder = StagedRun(log.parent)
    with folder.locked():  # nobody else holds it
        epochs = len(log.read_text().splitlines())
    assert 0 < epochs < 400
    # On the same epochs: the checkpoint is gone on from, and what was written stays.
    with pytest.raises(Enough):
        pool.train(extracted / "mocme.yaml", overrides, when_longer(log, epochs))
    assert len(log.read_text().splitlines()) > epochs


def when_longer(log: Path, epochs: int):  # type: ignore[no-untyped-def]
    def watch() -> None:
        count = len(log.read_text().splitlines())
        assert count >= epochs, "it began anew"
        if count > epochs:
            raise Enough

    return watch


@pytest.mark.slow
def test_an_interrupt_ends_what_has_begun(extracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = TrainingPool(2)
    runs = extracted / "data" / "runs"
    ended: list[str] = []

    def work(job: str) -> None:
        if job == "interrupt":
            until = time.monotonic() + 120
            while not metrics_below(runs) and time.monotonic() < until:
                time.sleep(0.05)
            raise KeyboardInterrupt
        with pytest.raises(TrainingStoppedError):
            pool.train(extracted / "mocme.yaml", [*SMALL, *LONG])
        ended.append(job)

    with pytest.raises(KeyboardInterrupt):
        pool.map(work, ["interrupt", "train"])
    assert ended == ["train"]
    assert finished_runs(runs) == []


STUDY = """
import sys
from pathlib import Path
from mocme.training_pool import TrainingPool
TrainingPool(1).train(Path(sys.argv[1]), sys.argv[2:])
"""


@pytest.mark.slow
def test_a_training_ends_with_a_study_that_is_killed(extracted: Path) -> None:
    config, runs = extracted / "mocme.yaml", extracted / "data" / "runs"
    words = python_command("-c", STUDY, str(config), *SMALL, *LONG)
    with subprocess.Popen(words, env=python_environment()) as study:
        until = time.monotonic() + 120
        while not metrics_below(runs) and time.monotonic() < until:
            time.sleep(0.05)
        begun = psutil.Process(study.pid).children(recursive=True)
        study.kill()
    assert begun
    _, alive = psutil.wait_procs(begun, timeout=30)
    assert alive == []


def test_a_training_that_fails_says_why(extracted: Path) -> None:
    with pytest.raises(TrainingError, match=r"model\.dim.*found 7.*multiple of 2") as error:
        TrainingPool(1).train(extracted / "mocme.yaml", ["model.dim=7"])
    assert error.value.exit_code == 2


def test_a_config_moves_with_its_data(extracted: Path, tmp_path: Path) -> None:
    config = load_config(extracted / "mocme.yaml")
    file = extracted / "data" / "elsewhere.yaml"
    write_config(config, file, "a comment")
    assert file.read_text().startswith("# a comment\n")
    assert load_config(file) == config
    moved = extracted.rename(tmp_path / "again")
    assert load_config(moved / "data" / "elsewhere.yaml").dataset == moved
