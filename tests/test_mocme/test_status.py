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
from model.runs.run_files import FORMAT
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


# What each names is told by tests without a run, too.
TRAINED_ANEW = {"a fact", "weights lost"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in TRAINED_ANEW else ())
        for name in CHANGES
    ],
)
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
    assert "metrics: of the model selected, which learns train\n" in told
    assert "answers: of the model final, which learns train, valid, test\n" in told


def test_neither_prefect_nor_torch_is_imported(project: Path) -> None:
    result, imported = run_and_look_at_imports("status", project / "mocme.yaml", "--json")
    assert imported == []
    assert set(result) == {"extracted", "stages", "models", "run_dir"}
    assert result["models"] == {"selected": ["train"], "final": ["train", "valid", "test"]}


def test_every_reason_is_named_at_once(project: Path) -> None:
    """Epochs, facts, a new entity and two pictures: a user who changed all sees all."""
    with (project / "entities.jsonl").open("a") as file:
        file.write('{"id": "newcomer", "name": "Newcomer"}\n')
    triples = (project / "train.tsv").read_text().splitlines()
    head, relation, _ = triples[0].split("\t")
    with (project / "train.tsv").open("a") as file:
        file.write(f"{head}\t{relation}\tnewcomer\nnewcomer\t{relation}\t{head}\n")
    edit_a_picture(project)
    found = status(project, "train.epochs=3", "model.dim=16", "predict.k=4")
    assert states(found) == "ssss"
    train = found["stages"]["train"]["reasons"]
    graph = next(it for it in train if it.startswith("graph changed"))
    assert "1 entity more" in graph
    assert "2 triples of train more" in graph
    assert {"train.epochs 2 -> 3", "model.dim 8 -> 16"} <= set(train)
    image = next(it for it in train if it.startswith("modalities.image.content changed"))
    assert "1 new item" in image
    assert found["stages"]["train"]["reason"] == "; ".join(train)
    assert found["stages"]["predict"]["reasons"] == ["the training is stale", "predict.k 3 -> 4"]
    assert found["stages"]["evaluate"]["reasons"] == ["the training is stale"]
    told = mocme(
        "status", project / "mocme.yaml", *settings(*SMALL, "train.epochs=3", "model.dim=16")
    ).stdout
    for reason in ("train.epochs 2 -> 3", "model.dim 8 -> 16", "1 entity more"):
        assert reason in told


def test_a_run_names_what_status_did(project: Path) -> None:
    repeat_a_fact(project)
    found = status(project, "train.epochs=3")["stages"]["train"]["reasons"]
    assert len(found) == 2
    ran = mocme("run", project / "mocme.yaml", *settings(*SMALL, "train.epochs=3"))
    assert ran.exit_code == 0
    words = "".join(ran.stdout.replace("│", "").split())
    assert all("".join(reason.split()) in words for reason in found)


def test_options_of_an_extractor_are_named_with_both_values(project: Path) -> None:
    found = status(project, "modalities.text.dim=2048")["stages"]["train"]["reasons"]
    (content,) = found
    assert content.startswith("modalities.text.content changed (dim")
    assert "-> 2048" in content


def test_all_that_was_lost_is_named(project: Path) -> None:
    (run_of(project) / "model.safetensors").unlink()
    (run_of(project) / "scoring.safetensors").write_bytes(b"x")
    found = status(project)["stages"]["train"]
    assert set(found["reasons"]) == {"model.safetensors is gone", "scoring.safetensors was changed"}
    (run_of(project) / "predictions.tsv").unlink()


def test_predictions_that_were_edited_and_are_to_be_more(project: Path) -> None:
    (run_of(project) / "predictions.tsv").write_text("x")
    found = status(project, "predict.k=4")["stages"]["predict"]["reasons"]
    assert found == ["predict.k 3 -> 4", "predictions.tsv was changed"]


def test_a_fresh_stage_says_what_it_was_compared_by(project: Path) -> None:
    for stage, found in status(project)["stages"].items():
        assert found["reasons"] == [found["reason"]], stage


def test_a_run_whose_graph_is_damaged_still_has_its_reasons(project: Path) -> None:
    repeat_a_fact(project)
    (run_of(project) / "graph.json").write_text("{")
    found = status(project, "train.epochs=3")["stages"]["train"]["reasons"]
    assert found == ["graph changed", "train.epochs 2 -> 3"]


def test_runs_of_another_version_are_no_riddle(project: Path) -> None:
    manifest = run_of(project) / "stages/train.json"
    manifest.write_text(manifest.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    found = status(project, "train.epochs=3")["stages"]["train"]["reasons"]
    assert found[0] == "no training has finished here before"
    assert found[1] == f"{run_of(project).name} is of another version's format"


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
