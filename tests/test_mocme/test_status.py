"""`mocme status`: it foretells the run that follows, says why, and leaves no trace."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_runs import SMALL, mocme, run_and_look_at_imports, settings, small
from test_dry_run import traces

from extractors.sample import write_sample
from storage.datasets.dataset import read_dataset

STAGES = ("extract", "train", "evaluate", "predict")
Change = Callable[[Path], None]


def status(project: Path, *pairs: str) -> dict[str, Any]:
    before = traces(project)
    config = project / "mocme.yaml"
    command = mocme("status", config, "--json", *settings(*SMALL, *pairs))
    assert command.exit_code == 0, command.stderr
    assert traces(project) == before
    found: dict[str, Any] = command.json
    return found


def states(found: dict[str, Any]) -> str:
    """Return the first letter of every stage's state: `ffss` is fresh, fresh, stale, stale."""
    assert tuple(found["stages"]) == STAGES
    return "".join(found["stages"][stage]["state"][0] for stage in STAGES)


def run_of(project: Path) -> Path:
    return (project / "data/runs/newest").resolve()


def edit_a_picture(project: Path) -> None:
    entity = next(e for e in read_dataset(project).entities if e.fields.get("image"))
    (project / str(entity.fields["image"][0])).write_bytes(b"no picture any more")  # type: ignore[index]


def repeat_a_fact(project: Path) -> None:
    train = project / "train.tsv"
    train.write_text(train.read_text() + train.read_text().splitlines()[0] + "\n")


CHANGES: dict[str, tuple[Change, str, str, str]] = {
    "nothing": (
        lambda project: None,
        "ffff",
        "train",
        "unchanged: graph, modalities, model, train",
    ),
    "a picture": (edit_a_picture, "ssss", "train", "modalities.image.content changed"),
    "a fact": (repeat_a_fact, "fsss", "train", "graph changed"),
    "weights lost": (
        lambda project: (run_of(project) / "model.safetensors").unlink(),
        "fsss",
        "train",
        "model.safetensors is gone",
    ),
    "metrics lost": (
        lambda project: (run_of(project) / "evaluation.json").unlink(),
        "ffsf",
        "evaluate",
        "evaluation.json is gone",
    ),
    "predictions edited": (
        lambda project: (run_of(project) / "predictions.tsv").write_text("x"),
        "fffs",
        "predict",
        "predictions.tsv was changed",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_foretells_the_run_that_follows(project: Path, name: str) -> None:
    change, expected, stage, reason = CHANGES[name]
    change(project)
    found = status(project)
    assert states(found) == expected
    assert found["stages"][stage]["reason"].startswith(reason)
    run = small("run", project / "mocme.yaml")
    ran = {
        stage: {"ran": "stale", "skipped": "fresh"}[it] for stage, it in run.json["stages"].items()
    }
    assert ran == {stage: it["state"] for stage, it in found["stages"].items()}
    assert found["run_dir"] in (None, run.json["run_dir"])
    assert states(status(project)) == "ffff"


@pytest.mark.parametrize(
    ("pair", "expected", "stage", "reason"),
    [
        ("train.epochs=3", "fsss", "train", "train.epochs 2 -> 3"),
        ("predict.k=4", "fffs", "predict", "predict.k 3 -> 4"),
        ("train.device=cpu", "ffff", "predict", "unchanged: trained, predict"),
        ("modalities.text.dim=2048", "ssss", "extract", "text: "),
    ],
)
def test_a_changed_config_names_the_key(
    project: Path, pair: str, expected: str, stage: str, reason: str
) -> None:
    found = status(project, pair)
    assert states(found) == expected
    assert found["stages"][stage]["reason"].startswith(reason)


def test_a_moved_folder_stays_fresh(project: Path, tmp_path: Path) -> None:
    shutil.move(project, tmp_path / "elsewhere")
    assert states(status(tmp_path / "elsewhere")) == "ffff"


def test_before_the_first_run_everything_is_stale(tmp_path: Path) -> None:
    write_sample(tmp_path / "s", num_things=60)
    found = status(tmp_path / "s")
    assert states(found) == "ssss"
    assert found["stages"]["train"]["reason"] == "no training has finished here before"
    assert not (tmp_path / "s/data").exists()


def test_the_table_says_what_would_run(project: Path) -> None:
    told = mocme("status", project / "mocme.yaml", *settings(*SMALL, "train.epochs=3")).stdout
    assert "train.epochs 2 -> 3" in told
    assert told.count("would run") == 3
    assert told.count("would be skipped") == 1


def test_neither_prefect_nor_torch_is_imported(project: Path) -> None:
    result, imported = run_and_look_at_imports("status", project / "mocme.yaml", "--json")
    assert imported == []
    assert set(result) == {"extracted", "stages", "run_dir"}


def test_numbers_in_a_file_of_their_own_are_the_same_and_count_when_edited(project: Path) -> None:
    entities, further = project / "entities.jsonl", project / "numbers.jsonl"
    objects = [json.loads(line) for line in entities.read_text("utf-8").splitlines()]
    moved = [{"id": it["id"], "numeric": it.pop("numeric")} for it in objects if it.get("numeric")]
    entities.write_text("".join(json.dumps(it) + "\n" for it in objects))
    further.write_text("".join(json.dumps(it) + "\n" for it in moved))
    assert moved
    assert states(status(project)) == "ffff"
    attribute = next(iter(moved[0]["numeric"]))
    moved[0]["numeric"][attribute] = 12345
    further.write_text("".join(json.dumps(it) + "\n" for it in moved))
    assert states(status(project)) == "ssss"
    ran = small("run", project / "mocme.yaml")
    assert ran.exit_code == 0, ran.stderr
    assert ran.json["extracted"]["numeric"]["new"] == 1
    assert ran.json["stages"]["train"] == "ran"
