"""Stages on real folders: when they run, when not, and what they say about it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from flows.configs.pipeline_config import PipelineConfig
from flows.stages import keys
from flows.stages.keys import StageKey, evaluate_key
from flows.stages.stage import Outcome, run_stage, why_stale
from flows.stages.staged_run import (
    NoRunError,
    StagedRun,
    mark_newest,
    newest_run,
    newest_run_of,
    open_run,
)
from model.runs.run_files import FORMAT

MODEL = "model.safetensors"


def train_key_of(epochs: int = 1) -> StageKey:
    return StageKey("train", {"graph": "g", "train": {"epochs": epochs}})


def write_weights(folder: StagedRun, content: str = "weights") -> Callable[[], None]:
    def work() -> None:
        (folder.path / MODEL).write_text(content)

    return work


def train(runs: Path, epochs: int = 1) -> tuple[StagedRun, Outcome]:
    key = train_key_of(epochs)
    folder = StagedRun.of(runs, key)
    return folder, run_stage(folder, key, write_weights(folder))


def config(folder: Path, **sections: Any) -> PipelineConfig:
    paths = {"dataset": folder / "d", "store": folder / "s", "runs": folder / "runs"}
    return PipelineConfig.model_validate({**paths, **sections})


def test_a_stage_runs_once(tmp_path: Path) -> None:
    folder, first = train(tmp_path)
    _, second = train(tmp_path)
    assert (first.status, second.status) == ("ran", "skipped")
    assert first.reason == "no training has finished here before"
    manifest = json.loads((folder.path / "stages/train.json").read_text())
    assert manifest["outputs"] == {
        MODEL: {"size": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}
    }
    assert manifest["format"] == FORMAT
    assert manifest["versions"]["torch"]


def test_a_changed_key_runs_in_a_folder_of_its_own_and_says_what_changed(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    _, outcome = train(tmp_path, epochs=2)
    assert outcome.status == "ran"
    assert outcome.reason == "train.epochs 1 -> 2"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_most_similar_run_is_compared_to(tmp_path: Path) -> None:
    other = StageKey("train", {"graph": "other", "train": {"epochs": 9}, "more": 1})
    run_stage(folder := StagedRun.of(tmp_path, other), other, write_weights(folder))
    train(tmp_path, epochs=1)
    run_stage(folder := StagedRun.of(tmp_path, other), other, write_weights(folder))
    assert train(tmp_path, epochs=2)[1].reason == "train.epochs 1 -> 2"


def test_every_change_is_named(tmp_path: Path) -> None:
    train(tmp_path)
    parts = {"graph": "h", "train": {"epochs": 7, "seed": 1}, "model": {"dim": 8}, "more": [1, 2]}
    key = StageKey("train", parts)
    assert why_stale(StagedRun.of(tmp_path, key), key) == (
        'graph "g" -> "h"; train.epochs 1 -> 7; train.seed is new; model is new; more is new'
    )


def test_a_run_in_a_renamed_folder_is_not_taken_for_this_one(tmp_path: Path) -> None:
    folder, _ = train(tmp_path)
    folder.path.rename(tmp_path / "mine")
    assert why_stale(folder, train_key_of()) == (
        "the run of this training is in a folder of another name, mine"
    )
    assert train(tmp_path)[1].status == "ran"


def test_a_changed_version_of_the_code_is_named_beside_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path)
    monkeypatch.setitem(keys._VERSIONS, "train", 99)  # type: ignore[index]
    key = train_key_of(2)
    assert why_stale(StagedRun.of(tmp_path, key), key) == (
        "train.epochs 1 -> 2; the stage's code has changed"
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, f"{MODEL} is gone"),
        (lambda path: path.write_text("w"), f"{MODEL} was changed"),
    ],
)
def test_a_lost_output_reruns_its_stage(
    tmp_path: Path, damage: Callable[[Path], Any], reason: str
) -> None:
    folder, _ = train(tmp_path)
    damage(folder.path / MODEL)
    assert train(tmp_path)[1].reason == reason
    assert train(tmp_path)[1].status == "skipped"


def test_a_new_training_makes_what_stood_behind_it_stale(tmp_path: Path) -> None:
    folder, _ = train(tmp_path)
    key = evaluate_key(folder.trained)

    def evaluate() -> Outcome:
        (folder.path / "evaluation.json").write_text("{}")
        return run_stage(folder, key, lambda: None)

    assert evaluate().status == "ran"
    assert evaluate().status == "skipped"
    (folder.path / MODEL).unlink()
    train(tmp_path)
    assert why_stale(folder, key) == "not done for this training before"


def test_a_stage_that_fails_is_not_taken_for_done(tmp_path: Path) -> None:
    key = train_key_of()
    folder = StagedRun.of(tmp_path, key)

    def work() -> None:
        (folder.path / "graph.json").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        run_stage(folder, key, work)
    assert why_stale(folder, key) == "an earlier training with this key did not finish"


def test_a_manifest_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    folder, _ = train(tmp_path)
    (folder.path / "stages/train.json").write_text('{"key": ')
    assert why_stale(folder, train_key_of()) is not None


def test_a_moved_runs_folder_stays_fresh(tmp_path: Path) -> None:
    train(tmp_path / "here/runs")
    mark_newest(StagedRun.of(tmp_path / "here/runs", train_key_of()))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert train(tmp_path / "there/runs")[1].status == "skipped"
    assert newest_run(tmp_path / "there/runs").path.parent == tmp_path / "there/runs"


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    key, barrier, ran = train_key_of(), Barrier(2), []
    folder = StagedRun.of(tmp_path, key)

    def work() -> None:
        ran.append(1)
        write_weights(folder)()

    def one() -> None:
        barrier.wait()
        run_stage(StagedRun.of(tmp_path, key), key, work)

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 1


def test_the_newest_run_is_the_one_used_last(tmp_path: Path) -> None:
    first, _ = train(tmp_path, 1)
    second, _ = train(tmp_path, 2)
    assert newest_run(tmp_path).path == second.path  # no link yet: by time
    mark_newest(second)
    mark_newest(first)
    assert newest_run(tmp_path).path == first.path
    shutil.rmtree(first.path)
    assert newest_run(tmp_path).path == second.path


def test_no_run_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match="mocme run CONFIG"):
        newest_run(tmp_path / "runs")
    with pytest.raises(NoRunError, match="mocme train CONFIG"):
        newest_run_of(config(tmp_path))
    with pytest.raises(NoRunError, match="no finished training"):
        open_run(tmp_path)


def test_the_newest_run_of_a_config_is_found_among_others(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        folder, _ = train(tmp_path / "runs", epochs)
        folder.write_config(config(tmp_path, train={"epochs": epochs}))
    wanted = config(
        tmp_path, train={"epochs": 2, "device": "cuda", "processes": 2}, predict={"k": 3}
    )
    assert newest_run_of(wanted).config().train.epochs == 2
    with pytest.raises(NoRunError):
        newest_run_of(config(tmp_path, train={"epochs": 4}))


def test_a_run_of_another_version_does_not_hide_the_others(tmp_path: Path) -> None:
    folder, _ = train(tmp_path / "runs", 1)
    (tmp_path / "runs/notes.txt").write_text("not a run")
    folder.write_config(config(tmp_path))
    newer, _ = train(tmp_path / "runs", 2)
    (newer.path / "config.yaml").write_text("dataset: d\nkey_of_the_future: 1\n")
    assert newest_run_of(config(tmp_path)).path == folder.path


def test_a_runs_config_moves_with_it(tmp_path: Path) -> None:
    (tmp_path / "here/weights").mkdir(parents=True)
    entry = {"extractor": "text_bert", "model": str(tmp_path / "here/weights")}
    look = {"extractor": "imported", "file": str(tmp_path / "here/x.npy"), "ids": "/lists/ids.txt"}
    modalities = {"text": entry, "look": look}
    made = config(tmp_path / "here", modalities=modalities, predict={"relations": ["likes"]})
    folder, _ = train(made.runs)
    folder.write_config(made)
    assert folder.config() == made
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = StagedRun(tmp_path / "there/runs" / folder.path.name).config()
    assert moved.dataset == tmp_path / "there/d"
    assert moved.modalities["text"].options["model"] == str(tmp_path / "there/weights")
    assert moved.modalities["look"].options["file"] == str(tmp_path / "there/x.npy")
