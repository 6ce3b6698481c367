"""The command `mocme tune` with real trainings."""

import json
from pathlib import Path

import pytest
from plain_trainings import TrainingsHere
from small_runs import SMALL, mocme, settings, small

from flows.configs.pipeline_config import load_config


def test_a_config_is_tuned_gone_on_with_and_trained(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call trains in a process of its own, as for users, the second one in this."""
    command = ["tune", extracted / "mocme.yaml", "--json", *settings(*SMALL)]
    command += ["--over", "train.learning_rate=0.01..0.5", "--over", "model.scorer"]
    first = mocme(*command, "--trials", 1)
    assert first.exit_code == 0, first.stderr
    runs = extracted / "data" / "runs"
    trained = {path: path.stat().st_mtime_ns for path in runs.rglob("model.safetensors")}
    assert "1 of 1 done" in first.stderr
    TrainingsHere().take_over(monkeypatch)
    second = mocme(*command, "--trials", 2)
    assert "2 of 2 done" in second.stderr
    assert "1 of 2 done" not in second.stderr, "those of the first call are counted at once"
    assert second.exit_code == 0, second.stderr
    assert [trial["number"] for trial in first.json["trials"]] == [0]
    assert len(second.json["trials"]) == 2
    assert {path: path.stat().st_mtime_ns for path in trained} == trained, "trained once"
    best = second.json["best"]
    assert best["valid_mrr"] == max(trial["valid_mrr"] for trial in second.json["trials"])
    as_it_stands = next(it for it in second.json["trials"] if it["number"] == 0)
    assert as_it_stands["values"] == {"train.learning_rate": 0.1, "model.scorer": "complex"}
    stages = {path.name for path in runs.rglob("stages/*.json")}
    assert stages == {"train.json"}, "test was not looked at"
    assert not (runs / "newest").exists(), "the runs of a tuning are not the config's own"
    found = small("train", second.json["config"])
    assert found.exit_code == 0, found.stderr
    run = Path(found.json["run_dir"])
    assert run.parent == runs
    assert (run / "final").is_dir(), "whose model answers; the trials trained none"
    summary = json.loads((run / "training.json").read_text())
    assert summary["best_valid_mrr"] == pytest.approx(best["valid_mrr"], abs=1e-6)
    assert load_config(second.json["config"]).model.scorer == best["values"]["model.scorer"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "Invalid value for '--trials'"),
        ([], "Missing option '--trials'"),
        (["--trials", "2", "--over", "model.dimm"], "(did you mean 'model.dim'?)"),
        (["--trials", "2", "--over", "model.dim=1..9"], "at least 2, at most 4096"),
    ],
)
def test_what_is_not_allowed(extracted: Path, arguments: list[str], message: str) -> None:
    found = mocme("tune", extracted / "mocme.yaml", *arguments)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())
    assert not (extracted / "data" / "runs" / "tuning").exists()
