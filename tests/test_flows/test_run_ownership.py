"""What stages delete, believe and follow in a run's folder: what they made, and nothing else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.stages.keys import StageKey, evaluate_key
from flows.stages.stage import run_stage, why_stale
from flows.stages.staged_run import StagedRun, finished_runs, mark_newest, newest_run, open_run
from mocme.report.figure_files import ReportFiles, is_figure_file, write_figures
from model.runs.run_files import FORMAT, OtherFormatError
from storage.atomic import write_whole
from storage.errors import MocmeError

FILES = ("graph.json", "triples.safetensors", "model.safetensors", "scoring.safetensors")
STRAYS = (
    *(".nfs000abc", "notes/mine.csv", "model.safetensors.bak", "report/mine.png", "thesis.tex"),
    *(
        "selection/mine.json",
        "final/mine.json",
        "stages/mine.json",
        "tensorboard/mine.txt",
        "placed/mine.json",
    ),
)


def key_of(seed: int = 0) -> StageKey:
    return StageKey("train", {"train": {"seed": seed}})


def train(runs: Path, seed: int = 0) -> StagedRun:
    key = key_of(seed)
    folder = StagedRun.of(runs, key)

    def work() -> None:
        for name in (*FILES, "metrics.jsonl"):
            (folder.path / name).write_text(name)

    run_stage(folder, key, work)
    return folder


def evaluate(folder: StagedRun) -> str:
    def work() -> None:
        write_whole(folder.path / "evaluation.json", '{"test": 1}')

    return run_stage(folder, evaluate_key(folder.trained), work).status


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def run(tmp_path: Path) -> StagedRun:
    """A run that was trained."""
    return train(tmp_path / "runs")


class TestStrays:
    def test_neither_coming_nor_going_makes_a_training_stale(self, run: StagedRun) -> None:
        for name in STRAYS:
            (run.path / name).parent.mkdir(exist_ok=True)
            (run.path / name).write_text("mine")
        assert why_stale(run, key_of()) is None
        run.record(key_of(), 0.0)
        for name in STRAYS:
            (run.path / name).unlink()
        assert why_stale(run, key_of()) is None

    def test_survive_a_repeated_training(self, run: StagedRun) -> None:
        for name in STRAYS:
            (run.path / name).parent.mkdir(exist_ok=True)
            (run.path / name).write_text("mine")
        run.record(key_of(), 0.0)
        flip_a_bit(run.path / "scoring.safetensors")
        assert why_stale(run, key_of()) == "scoring.safetensors was changed"
        train(run.path.parent)
        assert why_stale(run, key_of()) is None
        assert {(run.path / name).read_text() for name in STRAYS} == {"mine"}

    def test_a_lost_log_costs_no_weights(self, run: StagedRun) -> None:
        (run.path / "metrics.jsonl").unlink()
        (run.path / "config.yaml").unlink(missing_ok=True)
        assert why_stale(run, key_of()) is None

    def test_survive_what_is_discarded(self, run: StagedRun) -> None:
        (run.path / "stages/train.json").unlink()
        (run.path / "mine.txt").write_text("mine")
        run.discard_unfinished()
        assert [path.name for path in run.path.iterdir()] == ["mine.txt"]

    def test_a_finished_training_is_not_discarded(self, run: StagedRun) -> None:
        run.discard_unfinished()
        assert why_stale(run, key_of()) is None


class TestManifestsOfOthers:
    def test_name_nothing_outside_what_the_stage_makes(
        self, run: StagedRun, tmp_path: Path
    ) -> None:
        evaluate(run)
        victims = [tmp_path / "thesis.tex", tmp_path / "keys.txt", run.path / "notes.txt"]
        for victim in victims:
            victim.write_text("mine")
        names = [os.path.relpath(victims[0], run.path), str(victims[1]), "notes.txt"]
        path = run.path / "stages/evaluate.json"
        manifest = run.manifest("evaluate")
        assert manifest is not None
        manifest.outputs.update(dict.fromkeys(names, 4))  # type: ignore[attr-defined]
        manifest.write(path)
        run.forget("evaluate")
        assert not path.exists()
        assert [victim.read_text() for victim in victims] == ["mine"] * 3

    def test_delete_nothing_through_a_link(self, run: StagedRun, tmp_path: Path) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        for name in ("evaluation.json", "model.safetensors"):
            (mine / name).write_text("mine")
        (run.path / "selection").symlink_to(mine)
        run.record(key_of(), 0.0)
        manifest = run.manifest("train")
        assert manifest is not None
        manifest.outputs.update({"selection/model.safetensors": 4})  # type: ignore[attr-defined]
        manifest.write(run.path / "stages/train.json")
        evaluate(run)
        (run.path / "evaluation.json").unlink()
        (run.path / "evaluation.json").symlink_to(mine / "evaluation.json")
        run.forget("train")
        assert sorted(path.name for path in mine.iterdir()) == [
            "evaluation.json",
            "model.safetensors",
        ]

    @pytest.mark.parametrize(
        "content", ["", "\0" * 900, "null", "[1]", "3", "[" * 100_000, '{"key": 1}', '"\ud800"']
    )
    def test_damage_costs_no_weights(self, run: StagedRun, content: str) -> None:
        path = run.path / "stages/train.json"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        assert why_stale(run, key_of()) == "stages/train.json is damaged"
        with pytest.raises(MocmeError, match=r"train\.json: found a damaged file"):
            open_run(run.path)
        outcome = run_stage(run, key_of(), lambda: None)
        assert outcome.status == "ran"
        assert (run.path / "model.safetensors").read_text() == "model.safetensors"
        assert why_stale(run, key_of()) is None

    def test_another_format_is_refused_by_its_number(self, run: StagedRun) -> None:
        edit(run.path / "stages/train.json", format=2)
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        for action in (lambda: open_run(run.path), lambda: train(run.path.parent)):
            with pytest.raises(
                OtherFormatError, match=f"found a run of format 2; allowed: {FORMAT}"
            ):
                action()
        assert {path: path.read_bytes() for path in before} == before


class TestPlaces:
    @pytest.mark.parametrize("name", [".lock", "stages/evaluate.json"])
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    def test_a_pipe_or_a_folder_in_a_files_place_is_told(
        self, run: StagedRun, name: str, make: Callable[[Path], None]
    ) -> None:
        evaluate(run)
        (run.path / name).unlink()
        make(run.path / name)
        with pytest.raises(MocmeError, match=f"{name}: found a (pipe|folder); allowed"):
            evaluate(run)

    def test_a_pipe_in_an_outputs_place_is_replaced(self, run: StagedRun) -> None:
        evaluate(run)
        (run.path / "evaluation.json").unlink()
        os.mkfifo(run.path / "evaluation.json")
        assert evaluate(run) == "ran"
        assert run.evaluation() == {"test": 1}

    def test_a_lock_that_is_a_link_is_refused(self, run: StagedRun, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        (run.path / ".lock").unlink()
        (run.path / ".lock").symlink_to(tmp_path / "mine")
        with pytest.raises(MocmeError, match=r"\.lock: found a symbolic link"):
            evaluate(run)
        assert (tmp_path / "mine").read_text() == "mine"

    def test_manifests_behind_a_link_are_refused(self, run: StagedRun, tmp_path: Path) -> None:
        shutil.move(run.path / "stages", tmp_path / "mine")
        (run.path / "stages").symlink_to(tmp_path / "mine")
        with pytest.raises(MocmeError, match="stages: found a symbolic link"):
            evaluate(run)
        assert [path.name for path in (tmp_path / "mine").iterdir()] == ["train.json"]


class TestNewest:
    @pytest.mark.parametrize("when", ["2099-01-01T00:00:00.000+00:00", "1970-01-01", ""])
    def test_clocks_do_not_decide(self, tmp_path: Path, when: str) -> None:
        first, second = (train(tmp_path, seed) for seed in (0, 1))
        for run in (first, second):
            other = {first: second, second: first}[run]
            edit(run.path / "stages/train.json", finished_at=when)
            mark_newest(run)
            assert newest_run(tmp_path).path == run.path
            assert finished_runs(tmp_path)[0][0].path == run.path
            (tmp_path / "newest").unlink()
            assert newest_run(tmp_path).path == run.path
            assert finished_runs(tmp_path)[1][0].path == other.path

    def test_a_copy_of_a_run_is_not_newer_than_the_run(self, tmp_path: Path) -> None:
        run = train(tmp_path, 7)
        mark_newest(run)
        copy = Path(shutil.copytree(run.path, tmp_path / "zzz"))
        edit(copy / "stages/train.json", finished_at="2099-01-01")
        assert finished_runs(tmp_path)[0][0].path == run.path

    def test_a_folder_of_the_users_stays(self, tmp_path: Path) -> None:
        run = train(tmp_path)
        (tmp_path / "newest").mkdir()
        (tmp_path / "newest/mine.txt").write_text("mine")
        mark_newest(run)
        assert newest_run(tmp_path).path == run.path
        assert (tmp_path / "newest/mine.txt").read_text() == "mine"

    @pytest.mark.parametrize("target", ["absent", "../elsewhere", "/dev/null", "newest"])
    def test_a_link_to_no_run_of_the_folder_is_replaced(self, tmp_path: Path, target: str) -> None:
        run = train(tmp_path / "runs")
        train(tmp_path / "elsewhere")
        (tmp_path / "runs/newest").symlink_to(target)
        assert newest_run(tmp_path / "runs").path == run.path
        mark_newest(run)
        assert (tmp_path / "runs/newest").readlink() == Path(run.path.name)


class TestFigures:
    @pytest.mark.parametrize(
        "name", ["wedding.png", "../loss.png", "/loss.png", "loss.png.bak", "loss.tex", "loss/.png"]
    )
    def test_other_names_are_no_figures(self, name: str) -> None:
        assert not is_figure_file(name)

    def test_what_was_drawn_goes_and_what_was_changed_stays(self, tmp_path: Path) -> None:
        folder, manifest = tmp_path / "report", tmp_path / "stages/report.json"
        folder.mkdir()
        names = [f"{name}{it}" for name in ("loss", "failures") for it in (".svg", ".png", ".csv")]
        (folder / "wedding.png").write_text("mine")
        drawn = dict.fromkeys(names, b"drawn")
        write_figures(folder, drawn, ReportFiles({})).write(manifest)
        (folder / "failures.csv").write_text("mine")
        write_figures(folder, dict.fromkeys(names[:3], b"drawn"), ReportFiles.read(manifest))
        assert {path.name for path in folder.iterdir()} == {
            *names[:3],
            "failures.csv",
            "wedding.png",
        }

    def test_a_file_of_the_users_under_a_figures_name_is_kept(self, tmp_path: Path) -> None:
        folder, manifest = tmp_path / "report", tmp_path / "stages/report.json"
        folder.mkdir()
        for content in ("mine", "mine, too"):
            (folder / "loss.png").write_text(content)
            earlier = ReportFiles.read(manifest)
            write_figures(folder, {"loss.png": b"drawn"}, earlier).write(manifest)
        kept = {path.name: path.read_text() for path in (folder / "kept").iterdir()}
        assert kept == {"loss.png": "mine", "loss-2.png": "mine, too"}
        assert (folder / "loss.png").read_bytes() == b"drawn"
        write_figures(folder, {"loss.png": b"anew"}, ReportFiles.read(manifest))
        assert len(list((folder / "kept").iterdir())) == 2

    @pytest.mark.parametrize("text", ["[]", "{", '{"figures": 3}', '{"figures": {"../x.png": 1}}'])
    def test_what_cannot_be_told_of_an_earlier_report_is_nothing(
        self, tmp_path: Path, text: str
    ) -> None:
        (tmp_path / "report.json").write_text(text)
        assert ReportFiles.read(tmp_path / "report.json") == ReportFiles({})


class TestChanged:
    def test_evaluation_is_kept_and_made_anew(self, run: StagedRun) -> None:
        evaluate(run)
        (run.path / "evaluation.json").write_text("my notes")
        assert evaluate(run) == "ran"
        assert run.evaluation() == {"test": 1}
        assert (run.path / "kept/evaluation.json").read_text() == "my notes"

    def test_evaluation_of_another_training_is_not_kept(self, run: StagedRun) -> None:
        evaluate(run)
        run.forget("train")
        assert not (run.path / "evaluation.json").exists()
        assert not (run.path / "kept").exists()
        assert (run.path / "model.safetensors").exists()
