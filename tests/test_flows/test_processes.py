"""`train.processes`: the flow trains in several processes, and nothing else is different."""

import json
from pathlib import Path

import pytest
from learned import learned_alike
from small_runs import mocme, settings, small


def test_a_training_of_several_processes_is_complete(extracted: Path) -> None:
    config = extracted / "mocme.yaml"
    exact = ("train.dtype=float32", "train.final=selected")
    by_two, alone = "train.processes=2", f"runs={extracted}/alone"
    shared = small("train", config, *exact, by_two)
    assert shared.exit_code == 0, shared.stderr
    expected = small("run", config, *exact, alone)
    assert expected.exit_code == 0, expected.stderr
    run, run_alone = Path(shared.json["run_dir"]), Path(expected.json["run_dir"])
    found = small("run", config, *exact)
    assert found.json["stages"]["train"] == "skipped", "where to train is no part of its key"
    assert found.json["run_dir"] == str(run)
    assert names_in(run) == names_in(run_alone)
    for split, metrics in expected.json["metrics"].items():
        rounded = found.json["metrics"][split]
        assert rounded.pop("mr") == pytest.approx(metrics.pop("mr"), rel=1e-3)  # one place apart
        assert rounded == pytest.approx(metrics, abs=1e-4)
    assert learned_alike(run_alone, run, atol=2e-3)
    manifests = [json.loads((it / "stages/train.json").read_text()) for it in (run, run_alone)]
    assert manifests[0]["outputs"].keys() == manifests[1]["outputs"].keys()


def names_in(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()}


@pytest.mark.parametrize("value", ["0", "many", "1.5"])
def test_what_is_no_number_of_processes_is_told(extracted: Path, value: str) -> None:
    command = mocme("train", extracted / "mocme.yaml", *settings(f"train.processes={value}"))
    assert command.exit_code == 2
    message = " ".join(command.stderr.split())
    assert "train.processes" in message
    assert f"found {value}" in message.replace('"', "").replace("'", "")
    assert "auto" in message


def test_the_command_itself_is_not_for_torchrun(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = small("train", extracted / "mocme.yaml")
    assert command.exit_code == 2
    assert "allowed: one, which starts torchrun itself (train.processes)" in " ".join(
        command.stderr.split()
    )
