"""Several processes train as one does; what dies ends them all, and the next start goes on."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import shared_trainings
import torch
from learned import learned_alike
from safetensors.torch import load_file
from shared_trainings import CASES, RESUMED, WITH_FINAL
from small_training import epochs_of, is_drawn_as_logged, same_outcome, same_tensors, train_config
from torch import Tensor

from model.evaluation.evaluate import evaluate_run
from model.runs.epoch_report import EpochReport
from model.training import torchrun
from model.training.distributed import Processes, join_processes, wanted_processes
from model.training.torchrun import ProcessesFailedError
from storage.errors import MocmeError
from storage.isolation import python_command

LONGEST_END_SECONDS = 60
TORCHRUN = ("-m", "torch.distributed.run", "--standalone")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def run_python(*arguments: object, **environment: str) -> int:
    """Run Python to its end; return its exit code."""
    command = [sys.executable, *map(str, arguments)]
    given = {**ENVIRONMENT, **environment}
    done = subprocess.run(command, env=given, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(done.stderr)
    return done.returncode


def trained(folder: Path, num_processes: int) -> Path:
    """Do all cases in some processes."""
    launcher = (*TORCHRUN, "--nproc-per-node", num_processes)
    assert run_python(*launcher, shared_trainings.__file__, folder) == 0
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    for case in CASES:
        shared_trainings.train(case, folder / case)
    return folder


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def by_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many as leave parts of other sizes, some empty."""
    return trained(tmp_path_factory.mktemp("three"), 3)


@pytest.fixture(params=["by_two", pytest.param("by_three", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5])
class TestParts:
    def parts(self, batch: Tensor, size: int) -> list[tuple[slice, float]]:
        return [Processes(torch.device("cpu"), rank, size).part(batch) for rank in range(size)]

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
    @pytest.mark.parametrize("answers", [1, 3, 100])
    def test_make_up_the_batch(self, size: int, count: int, answers: int) -> None:
        number = torch.arange(count)
        batch = torch.stack([number // answers, number * 0, number], dim=1)
        parts = self.parts(batch, size)
        assert all(len(batch[part]) for part, _ in parts)
        counted = torch.cat([batch[part] for part, share in parts if share])
        assert counted.tolist() == batch.tolist()
        assert [share for _, share in parts] == pytest.approx(
            [len(batch[part]) / count if share else 0 for part, share in parts]
        )
        assert sum(share for _, share in parts) == pytest.approx(1)

    def test_answers_to_one_question_stay_together(self, size: int) -> None:
        heads = torch.tensor([3, 3, 3, 3, 3, 5, 2, 2, 2, 3, 4, 4])
        batch = torch.stack([heads, torch.ones(12).long(), torch.arange(12)], dim=1)
        asked = [set(batch[part, 0].tolist()) for part, share in self.parts(batch, size) if share]
        turns = [3, 5, 2, 3, 4]
        assert sum(len(heads) for heads in asked) <= len(turns)
        assert len(asked) == min(size, len(turns))


@pytest.mark.parametrize("case", CASES)
class TestShared:
    def test_every_epoch_is_that_of_one_process(self, alone: Path, shared: Path, case: str) -> None:
        expected, found = epochs_of(alone / case), epochs_of(shared / case)
        assert len(expected) == len(found) == (2 if case == "early stop" else len(found))
        for one, other in zip(expected, found, strict=True):
            assert one["valid_mrr"] is not None
            for name in one.keys() | other.keys():
                allowed = "rel" if name.startswith("block_weight/") else "abs"
                assert other[name] == pytest.approx(one[name], **{allowed: 1e-4}), name

    def test_what_is_learned_is_that_of_one_process(
        self, alone: Path, shared: Path, case: str
    ) -> None:
        assert learned_alike(alone / case, shared / case, atol=2e-4)

    def test_test_metrics_are_those_of_one_process(
        self, alone: Path, shared: Path, case: str
    ) -> None:
        expected, found = evaluate_run(alone / case), evaluate_run(shared / case)
        for split in ("test", "test_clean", "valid"):
            assert found[split] == pytest.approx(expected[split], abs=1e-4)

    def test_all_processes_end_with_the_same_parameters(self, shared: Path, case: str) -> None:
        first, *others = (load_file(path) for path in sorted(shared.glob(f"{case}-*.safetensors")))
        assert len(others) in (1, 2)
        assert all(same_tensors(first, other) for other in others)

    def test_the_folder_is_that_of_one_process(self, alone: Path, shared: Path, case: str) -> None:
        names = ({path.name for path in (runs / case).iterdir()} for runs in (alone, shared))
        assert next(names) == next(names)
        assert is_drawn_as_logged(shared / case)


def test_the_final_model_is_that_of_one_process(alone: Path, shared: Path) -> None:
    expected, found = alone / WITH_FINAL / "final", shared / WITH_FINAL / "final"
    assert learned_alike(expected, found, atol=2e-4)
    first, *others = (
        load_file(path) for path in sorted(shared.glob(f"{WITH_FINAL} final-*.safetensors"))
    )
    assert others
    assert all(same_tensors(first, other) for other in others)


class TestDeath:
    @pytest.fixture(scope="class")
    def killed(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A run whose starter was killed after an epoch."""
        folder = tmp_path_factory.mktemp("killed")
        command = (shared_trainings.__file__, folder / "run", "--killed")
        assert run_python(*command, TMPDIR=str(folder)) == -signal.SIGKILL
        return folder / "run"

    @pytest.mark.slow
    def test_of_the_starter_ends_the_processes(self, killed: Path) -> None:
        deadline = time.monotonic() + LONGEST_END_SECONDS
        while workers_of(killed.parent) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not workers_of(killed.parent)
        assert (killed / "checkpoint.safetensors").exists()

    def test_of_a_process_ends_all_and_the_next_start_goes_on(
        self, killed: Path, by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Path(shutil.copytree(killed, tmp_path / "run"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        reports: list[EpochReport] = []

        def kill_the_last(report: EpochReport) -> None:
            reports.append(report)
            os.kill(max(workers_of(tmp_path)), signal.SIGKILL)

        started = time.monotonic()
        with pytest.raises(ProcessesFailedError, match="2 training processes that failed"):
            shared_trainings.train(RESUMED, run, kill_the_last, processes=2)
        assert time.monotonic() - started < LONGEST_END_SECONDS
        shared_trainings.train(RESUMED, run, reports.append, processes=2)
        assert reports[0].epoch > 1, "the first epoch was done before"
        assert reports[-1].epoch == reports[-1].num_epochs
        assert same_outcome(by_two / RESUMED, run)

    @pytest.mark.slow
    def test_an_error_of_the_input_is_told_as_such(
        self, killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Path(shutil.copytree(killed, tmp_path / "run"))
        (run / "checkpoint.safetensors").unlink()
        (run / "checkpoint.safetensors").mkdir()
        monkeypatch.setattr(torchrun, "_command", one_worker)
        with pytest.raises(MocmeError, match=r"checkpoint.safetensors: found a folder"):
            shared_trainings.train(RESUMED, run, processes=2)


class TestDevices:
    def test_one_process_joins_nobody(self) -> None:
        assert join_processes("cpu") == Processes(torch.device("cpu"), rank=0, size=1)

    def test_auto_is_one_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        assert wanted_processes(train_config(processes="auto", device="auto")) == 3
        assert wanted_processes(train_config(processes="auto", device="cuda:1")) == 1
        assert wanted_processes(train_config(processes="auto", device="cpu")) == 1

    def test_a_gpu_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        with pytest.raises(MocmeError, match="found 3 GPUs and 4 processes"):
            wanted_processes(train_config(processes=4, device="cuda"))
        with pytest.raises(MocmeError, match="cuda:1 and 2 processes; allowed: auto"):
            wanted_processes(train_config(processes=2, device="cuda:1"))


def one_worker(num_processes: int, job: Path) -> list[str]:
    """Start a process as torchrun does, without the others and without torchrun."""
    return python_command("-m", "model.training.worker", str(job))


def workers_of(temporary: Path) -> list[int]:
    """List the training processes whose job lies in a folder for temporary files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "model.training.worker" in words and "torch.distributed.run" not in words:
                found += [int(process.name)] if any(str(temporary) in it for it in words) else []
    return found
