"""The run's folder: data and nothing else, and a clear word where it is damaged."""

import dataclasses
import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted_graph import World
from safetensors.numpy import save
from small_training import (
    SMALL_MODEL,
    everything_in,
    model_config,
    run_training,
    same_outcome,
    train_config,
)

import model
from model.evaluation.evaluate import evaluate_run
from model.prediction.predictor import Predictor
from model.runs.epoch_report import TENSORBOARD_FOLDER, EpochReport
from model.runs.run_files import FORMAT
from model.runs.run_folder import RunFolder
from model.training.train import train
from storage.errors import MocmeError

READ_BY_PREDICTOR = ["graph.json", "triples.safetensors", "scoring.safetensors"]


class Exploit:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def remove(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribble(file: Path) -> None:
    file.write_bytes(os.urandom(64))


def smuggle(file: Path) -> None:
    file.write_bytes(pickle.dumps(Exploit(file.parent / "exploited")))


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-10] ^= 8
    file.write_bytes(content)


DAMAGES = [remove, empty, truncate, scribble, smuggle, flip_a_bit]
CREATED = {"graph.json", "triples.safetensors"}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def run_dir(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be damaged."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def damages_of(names: list[str]) -> list[object]:
    """Every damage to every file."""
    return [
        pytest.param(name, damage, id=f"{damage.__name__} {name}")
        for name in names
        for damage in DAMAGES
    ]


class TestDamage:
    @pytest.mark.parametrize(("name", "damage"), damages_of(READ_BY_PREDICTOR))
    def test_is_told_with_the_name_of_the_file(
        self, run_dir: Path, name: str, damage: Callable[[Path], None]
    ) -> None:
        damage(run_dir / name)
        with pytest.raises(MocmeError, match=re.escape(name)):
            Predictor(run_dir)
        assert not (run_dir / "exploited").exists()

    @pytest.mark.parametrize("name", READ_BY_PREDICTOR)
    @pytest.mark.parametrize("reader", [Predictor, evaluate_run])
    def test_runs_no_code(self, run_dir: Path, name: str, reader: Callable[[Path], object]) -> None:
        smuggle(run_dir / name)
        with pytest.raises(Exception, match=r".") as caught:
            reader(run_dir)
        assert not isinstance(caught.value, AttributeError | pickle.PickleError)
        assert not (run_dir / "exploited").exists()

    @pytest.mark.parametrize("reader", [Predictor, evaluate_run])
    def test_no_run_at_all(self, tmp_path: Path, reader: Callable[[Path], object]) -> None:
        for folder in (tmp_path, tmp_path / "absent"):
            with pytest.raises(MocmeError, match=re.escape(str(folder))):
                reader(folder)

    def test_a_run_that_has_not_finished(self, world: World, tmp_path: Path) -> None:
        stop_after_first_epoch(world, tmp_path)
        with pytest.raises(MocmeError, match="finished"):
            Predictor(tmp_path)

    @pytest.mark.parametrize("name", ["scoring.safetensors", "training.json"])
    def test_a_run_that_lost_its_end_is_trained_again(
        self, world: World, finished_run: Path, run_dir: Path, name: str
    ) -> None:
        (run_dir / name).unlink()
        run_training(world, run_dir)
        assert same_outcome(finished_run, run_dir)


def stop_after_first_epoch(world: World, run_dir: Path) -> None:
    stop_after_epoch(world, run_dir, 1)


def stop_after_epoch(world: World, run_dir: Path, epoch: int) -> None:
    def on_epoch(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(world.graph, world.tables(), SMALL_MODEL, train_config(), run_dir, on_epoch)


class TestUnfinished:
    @pytest.mark.parametrize("host", ["host", "host-1"])
    def test_what_a_killed_write_left_is_deleted(
        self, world: World, tmp_path: Path, host: str
    ) -> None:
        (tmp_path / f".graph.json.{host}-17-0123456789abcdef.part").write_bytes(b"half")
        RunFolder(tmp_path).create(world.graph)
        assert names_in(tmp_path) == CREATED

    @pytest.mark.parametrize("size", [0, 8, 200])
    def test_what_safetensors_left_is_deleted(
        self, world: World, tmp_path: Path, size: int
    ) -> None:
        left = tmp_path / ".tmpE49Nct"
        left.write_bytes(save({"a": np.zeros(100)})[:size])
        left.chmod(0o600)
        RunFolder(tmp_path).create(world.graph)
        assert names_in(tmp_path) == CREATED

    @pytest.mark.parametrize(
        "name",
        [
            *(".tmp_notes", ".tmpbackup", ".tmp", ".tmpE49Nct.txt", ".draft.part", ".draft.7.part"),
            *("model.safetensors.bak", ".nfs000abc", ".graph.json.part", "graph.json.7.part"),
            *(".graph.json.mine.part", "notes/graph.json", ".~lock.graph.json#"),
        ],
    )
    def test_what_is_the_users_stays(self, world: World, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("notes")
        file.chmod(0o600)
        RunFolder(tmp_path).create(world.graph)
        assert file.read_text() == "notes"

    def test_a_link_with_the_name_of_what_is_deleted_stays(
        self, world: World, tmp_path: Path
    ) -> None:
        (tmp_path / "mine").write_text("mine")
        link = tmp_path / "run/.graph.json.17.part"
        link.parent.mkdir()
        link.symlink_to(tmp_path / "mine")
        RunFolder(tmp_path / "run").create(world.graph)
        assert link.is_symlink()
        assert (tmp_path / "mine").read_text() == "mine"

    @pytest.mark.parametrize("name", ["checkpoint.safetensors", "model.safetensors"])
    @pytest.mark.parametrize(
        "damage", [empty, truncate, scribble, flip_a_bit], ids=lambda f: f.__name__
    )
    def test_a_damaged_file_to_go_on_from_is_told_and_training_begins_again(
        self,
        world: World,
        finished_run: Path,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        name: str,
        damage: Callable[[Path], None],
    ) -> None:
        stop_after_epoch(world, tmp_path, 3)
        damage(tmp_path / name)
        run_training(world, tmp_path)
        assert f"{name}: found a damaged file" in caplog.text
        assert "training begins again" in caplog.text
        assert same_outcome(finished_run, tmp_path)

    def test_a_checkpoint_of_another_model_is_told(self, world: World, tmp_path: Path) -> None:
        stop_after_first_epoch(world, tmp_path)
        with pytest.raises(MocmeError, match=r"checkpoint\.safetensors"):
            train(world.graph, world.tables(), model_config(dim=16), train_config(), tmp_path)


class TestContents:
    def test_safetensors_and_json_only(self, finished_run: Path) -> None:
        names = {path.name for path in finished_run.iterdir()} - {TENSORBOARD_FOLDER}
        assert {Path(name).suffix for name in names} == {".safetensors", ".json", ".jsonl"}
        for name in names:
            if name.endswith("json"):
                json.loads((finished_run / name).read_text())
        lines = (finished_run / "metrics.jsonl").read_text().splitlines()
        for line in lines:
            json.loads(line, parse_constant=pytest.fail)
        assert not [name for name in names if name.startswith(".")]

    def test_names_of_all_scripts_survive(self, world: World, tmp_path: Path) -> None:
        from dataclasses import replace

        names = ("北京 大学", 'quote "', "tab\tand\nline", *world.graph.names[3:])
        graph = replace(world.graph, names=names)
        folder = RunFolder(tmp_path / "deep" / "run")
        folder.create(graph)
        assert folder.read_graph().digest == graph.digest

    def test_a_line_of_the_log_replaces_those_after_it(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path)
        for epoch in (1, 2, 3, 2):
            report = EpochReport(epoch, 5, epoch / 10, None, 0.25, 1.0)
            folder.log_epoch(report, {"share": 0.5})
        lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2]
        assert lines[1] == {
            "epoch": 2,
            "num_epochs": 5,
            "loss": 0.2,
            "valid_mrr": None,
            "best_valid_mrr": 0.25,
            "seconds": 1.0,
            "share": 0.5,
        }


def test_nothing_in_the_package_loads_code() -> None:
    dangerous = re.compile(r"torch\.(load|save)\b|\bpickle\b|\b(eval|exec)\(|import_module|marshal")
    package = Path(model.__path__[0])
    for source in package.glob("**/*.py"):
        text = re.sub(r"\.eval\(\)", "", source.read_text())
        assert not dangerous.search(text), source.name


class TestFormat:
    @pytest.mark.parametrize("number", [1, 2, FORMAT - 1, FORMAT + 1])
    def test_another_is_refused_by_its_number_and_left_as_it_is(
        self, world: World, run_dir: Path, number: int
    ) -> None:
        summary = json.loads((run_dir / "training.json").read_text())
        (run_dir / "training.json").write_text(json.dumps({**summary, "format": number}))
        before = everything_in(run_dir)
        for action in (Predictor, evaluate_run, lambda path: run_training(world, path)):
            with pytest.raises(
                MocmeError, match=f"found a run of format {number}; allowed: {FORMAT}"
            ):
                action(run_dir)
        assert everything_in(run_dir) == before

    def test_one_of_before_there_were_numbers_is_refused(self, run_dir: Path) -> None:
        summary = json.loads((run_dir / "training.json").read_text())
        old = {key: summary[key] for key in ("best_epoch", "best_valid_mrr", "dtype")}
        (run_dir / "training.json").write_text(json.dumps(old))
        with pytest.raises(MocmeError, match=r"found a damaged file .*no format.*mocme train"):
            Predictor(run_dir)


class TestLogAndSystem:
    @pytest.mark.parametrize("damage", [remove, *DAMAGES[1:]], ids=lambda f: f.__name__)
    def test_a_damaged_log_is_done_without(
        self, world: World, run_dir: Path, damage: Callable[[Path], None]
    ) -> None:
        weights = (run_dir / "scoring.safetensors").stat().st_ino
        damage(run_dir / "metrics.jsonl")
        assert RunFolder(run_dir).read_log() == []
        assert RunFolder(run_dir).seconds_trained() == 0
        run_training(world, run_dir)
        assert (run_dir / "scoring.safetensors").stat().st_ino == weights
        Predictor(run_dir)

    @pytest.mark.parametrize("name", READ_BY_PREDICTOR)
    def test_a_pipe_in_a_files_place_is_told(self, run_dir: Path, name: str) -> None:
        (run_dir / name).unlink()
        os.mkfifo(run_dir / name)
        with pytest.raises(MocmeError, match=f"{re.escape(name)}: found a pipe"):
            Predictor(run_dir)

    def test_files_of_the_users_for_tensorboard_stay(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "tensorboard").mkdir()
        mine = tmp_path / "tensorboard/notes.txt"
        mine.write_text("mine")
        run_training(world, tmp_path)
        assert mine.read_text() == "mine"

    def test_a_tensorboard_elsewhere_is_done_without(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "run").mkdir()
        (tmp_path / "run/tensorboard").symlink_to(tmp_path / "mine")
        run_training(world, tmp_path / "run")
        assert "training goes on without" in caplog.text
        assert not list((tmp_path / "mine").iterdir())

    @pytest.mark.parametrize("name", ["graph.json", "model.safetensors", "checkpoint.safetensors"])
    def test_a_full_disk_names_the_file_and_training_goes_on_later(
        self,
        world: World,
        finished_run: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        put_in_place = Path.replace

        def full(self: Path, target: Path) -> Path:
            if target.name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
            return put_in_place(self, target)

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(MocmeError, match=f"{re.escape(name)}: cannot be written: No space"):
            run_training(world, tmp_path)
        assert not [path for path in names_in(tmp_path) if path.startswith(".")]
        monkeypatch.undo()
        run_training(world, tmp_path)
        assert same_outcome(finished_run, tmp_path)


def test_who_made_the_splits_is_read_back(world: World, tmp_path: Path) -> None:
    for graph in (world.graph, dataclasses.replace(world.graph, split_by_hash=True)):
        folder = RunFolder(tmp_path / str(graph.split_by_hash))
        folder.create(graph)
        assert folder.read_graph().digest == graph.digest
    assert len({it.read_bytes() for it in tmp_path.glob("*/graph.json")}) == 2
