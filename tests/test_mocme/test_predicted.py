"""The end of a run names the surest answers, where all of them are, and what to do next."""

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
