"""What probabilities rest on is told beside them, and digits that mean nothing are not."""

import json
from pathlib import Path
from typing import Any

import pytest
from resealed import reseal
from small_runs import mocme

from flows.stages.staged_run import StagedRun
from mocme.cli.answering import mark_of
from mocme.predictor import Predictor
from mocme.reliability import Reliability, read_reliability
from model.prediction.answers import Answer
from model.prediction.predictor import Predictor as RunPredictor


def measured(run: Path, calibration: dict[str, Any] | None) -> None:
    """Write a calibration to a run's evaluation, as if it had been measured."""
    file = run / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "calibration": calibration}))
    reseal(run)


def test_the_assumed_share_is_the_one_that_predictions_are_made_with(project: Path) -> None:
    run = (project / "data/runs/newest").resolve()
    held_out = read_reliability(StagedRun(run))
    assert held_out.missing_share == RunPredictor(run).scoring.calibration.missing_share
    assert not held_out.is_stated
    assert held_out.missing_share <= held_out.most_missing
    config = StagedRun(run).config()
    predict = config.predict.model_copy(update={"missing_share": 0.05})
    StagedRun(run).write_config(config.model_copy(update={"predict": predict}))
    stated = read_reliability(StagedRun(run))
    assert stated.missing_share == Predictor(run).scoring.calibration.missing_share
    assert stated.is_stated
    assert "if 5% of the facts are missing (as predict.missing_share states)" in stated.lines[0]


def test_where_less_can_be_missing_than_was_held_out_that_is_said() -> None:
    (held_out,) = Reliability(0.2, False, 0.31, None).lines
    assert held_out.endswith("(the share held out; predict.missing_share states it)")
    (most,) = Reliability(0.043, False, 0.043, None).lines
    assert "if 4.3% of the facts are missing (no more can be, by what came true" in most
    stated, excess = Reliability(0.2, True, 0.043, None).lines
    assert "if 20% of the facts are missing (as predict.missing_share states)" in stated
    assert "no more than 4.3% of the facts can be missing" in excess
    assert "so probabilities are too high" in excess


@pytest.mark.parametrize("calibration", [None, {"num_answers": 0, "bins": []}])
def test_what_was_not_measured_is_not_told(project: Path, calibration: Any) -> None:
    run = (project / "data/runs/newest").resolve()
    measured(run, calibration)
    assert read_reliability(StagedRun(run)).gap is None
    (run / "evaluation.json").unlink()
    found = read_reliability(StagedRun(run))
    assert (found.gap, len(found.lines), found.shown(0.8642)) == (None, 1, 0.8642)


def test_probabilities_that_are_off_have_one_digit(project: Path) -> None:
    run = (project / "data/runs/newest").resolve()
    measured(run, {"promised": 0.83, "true": 0.7, "num_answers": 9, "bins": []})
    words = ("--run", run, "--relation", Predictor(run).graph.relations[0])
    shown = mocme("predict", *words, "-k", 2).stdout
    assert "~0." in shown
    told = "probabilities of this run are too high by 0.13 on held-out facts: read them as more"
    assert told in " ".join(shown.split())
    found = mocme("predict", *words, "-k", 2, "--json").json
    assert found["probabilities"]["is_off"]
    assert found["probabilities"]["gap_on_held_out"] == pytest.approx(0.13)
    assert all(isinstance(it["probability"], float) for it in found["triples"])
    assert "too low by 0.19" in Reliability(0.2, False, 1.0, -0.19).lines[1]
    near = Reliability(0.2, False, 1.0, -0.09)
    assert (near.is_off, near.shown(0.8642)) == (False, 0.8642)


def test_marks_name_what_an_answer_contradicts(project: Path) -> None:
    predictor = Predictor(project / "data/runs/newest")
    graph = predictor.graph
    head, relation, tail = graph.train[0].tolist()
    triple = graph.entities[head], graph.relations[relation], graph.entities[tail]
    answer = Answer("x", "X", 0.1, {}, {}, False, (), None, "h", "H", "r", "x", "X", (), (triple,))
    assert mark_of(answer, predictor.wording) == f"contradicts: {predictor.wording.fact(*triple)}"
    assert answer.row()["contradicts"] == " ".join(triple)
