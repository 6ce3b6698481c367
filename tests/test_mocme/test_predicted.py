"""The end of a run names the surest answers, where all of them are, and what to do next."""

import os
from pathlib import Path

from small_runs import SMALL, mocme, settings

from flows.stages.predictions import read_predictions
from mocme.tables import weights


def test_a_run_ends_with_its_surest_predictions(project: Path) -> None:
    config = project / "mocme.yaml"
    ran = mocme("run", config, *settings(*SMALL))
    assert ran.exit_code == 0, ran.stderr
    found = read_predictions(project / "data" / "runs" / "newest" / "predictions.tsv")
    surest = max(found, key=lambda it: it.probability)
    for shown in (surest.head, surest.tail, "predictions.tsv", f"mocme predict {config}"):
        assert shown in ran.stdout
    assert "mocme report" in ran.stdout


def test_weights_that_round_to_nothing_are_left_out() -> None:
    found = {"text": 0.6, "image": 0.3, "audio": 0.096, "video": 0.004}
    assert weights(found) == "text 0.60, image 0.30, audio 0.10"
    assert weights(found, 2) == "text 0.60, image 0.30"


def test_a_dataset_newer_than_the_run_is_noted(project: Path) -> None:
    run = project / "data" / "runs" / "newest"
    question = ("predict", "--run", run, "--relation", "eats")
    assert "newer than this run" not in mocme(*question).stderr
    (project / "facts.tsv").write_text("what a user wrote here is not the dataset's\n")
    assert "newer than this run" not in mocme(*question).stderr
    os.utime(project / "train.tsv", (2e9, 2e9))
    asked = mocme(*question)
    assert asked.exit_code == 0
    assert asked.stderr.startswith("train.tsv: newer than this run's training; `mocme status ")


def test_a_report_takes_a_config(project: Path) -> None:
    config = project / "mocme.yaml"
    (project / "small.yaml").write_text((project / "data/runs/newest/config.yaml").read_text())
    made = mocme("report", config)
    assert "of this config as it is" in made.stderr  # another run than its settings make
    assert made.exit_code == 2
