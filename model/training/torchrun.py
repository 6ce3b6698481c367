"""Training in several processes of this machine, which torchrun starts and watches.

torchrun ends all processes when one of them dies. They end, too, when the process that started
them does, however it ends: see `model/training/worker.py`.
"""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from model.runs.epoch_report import EpochReport
from model.training.job import TrainingJob
from storage.errors import MocmeError
from storage.isolation import python_command, python_environment

_RAISED_AGAIN: tuple[type[Exception], ...] = (MocmeError, FloatingPointError)
_LINES_SHOWN = 20


class ProcessesFailedError(RuntimeError):
    """Training processes that ended before the training did, and not by the input's fault."""


def train_by_torchrun(
    job: TrainingJob, num_processes: int, on_epoch: Callable[[EpochReport], None]
) -> None:
    """Train in several processes.

    The job is handed over in a temporary folder (`TMPDIR`), which holds the feature tables once.

    Args:
        job: The training.
        num_processes: How many.
        on_epoch: Called in this process after every epoch.

    Raises:
        MocmeError: As `model.training.train` does.
        FloatingPointError: If the loss is no longer a number.
        ProcessesFailedError: If a process died, or failed in any other way.
    """
    with TemporaryDirectory(prefix="mocme-training-") as name:
        folder = Path(name)
        job.write(folder)
        num_threads = max(1, torch.get_num_threads() // num_processes)
        with (
            (folder / "stderr").open("w+", encoding="utf-8", errors="replace") as stderr,
            subprocess.Popen(  # noqa: S603 - our own modules
                _command(num_processes, folder),
                env=python_environment(OMP_NUM_THREADS=str(num_threads)),
                stdin=subprocess.PIPE,  # never written to; its end ends the processes
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            ) as torchrun,
        ):
            errors = _listen(torchrun.stdout or (), on_epoch)
            if torchrun.wait():
                stderr.seek(0)
                raise _error(errors, num_processes, stderr.readlines())


def _command(num_processes: int, folder: Path) -> list[str]:
    torchrun = python_command("-m", "torch.distributed.run", "--standalone")
    work = ["-m", "model.training.worker", str(folder)]
    return [*torchrun, "--nproc-per-node", str(num_processes), *work]


def _listen(lines: Iterable[str], on_epoch: Callable[[EpochReport], None]) -> list[dict[str, Any]]:
    """Pass on what processes tell of epochs until all have ended; return what of errors."""
    errors = []
    for line in lines:
        if not line.startswith("{"):
            continue  # libraries may print, too
        told = json.loads(line)
        if "epoch" in told:
            on_epoch(EpochReport(**told["epoch"]))
        else:
            errors.append(told)
    return errors


def _error(errors: list[dict[str, Any]], num_processes: int, stderr: list[str]) -> Exception:
    """Return what to raise: the cause comes first, the others only lose the connection."""
    for told in errors:
        for kind in _RAISED_AGAIN:
            if kind.__name__ in told["error"]:
                return kind(told["message"])
    cause = f"{errors[0]['error'][0]}: {errors[0]['message']}" if errors else "a process died"
    tail = "".join(stderr[-_LINES_SHOWN:])
    return ProcessesFailedError(
        f"found {num_processes} training processes that failed ({cause}); allowed: processes that "
        f"live until the training is done; the last they said:\n{tail}"
    )
