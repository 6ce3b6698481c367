"""Trainings in processes of their own, several at once: what a study of many configs runs on.

A training does what `mocme train` does, so it is resumed where it was stopped and found again by
whoever asks for the same. An interrupt from the keyboard is for the study, which then ends its
trainings; where the study is killed, they end by themselves.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Event
from typing import TypeVar

from model.config import FinalName
from storage.errors import MocmeError
from storage.isolation import python_command, python_environment

FINAL_OF_STUDIES: FinalName = "selected"
"""What a study sets `train.final` to: it compares metrics, which no final model has."""

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 10.0
_LONGEST_STDERR = 2000  # characters of it that an error shows, the last ones

Job = TypeVar("Job")
Result = TypeVar("Result")


class TrainingError(MocmeError):
    """A training that ended without a result.

    Attributes:
        exit_code: That of `mocme train`.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class TrainingStoppedError(MocmeError):
    """A training that was ended because the study was."""


class TrainingPool:
    """Runs trainings side by side.

    Args:
        num_processes: Trainings at once; the processor's threads are shared out.
    """

    def __init__(self, num_processes: int) -> None:
        self._num_processes = num_processes
        self._threads = max(1, (os.cpu_count() or 1) // num_processes)
        self._stopped = Event()

    def map(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Do all jobs and return their results in order.

        After an error no other job is begun, and what has begun ends by itself: it may have taken
        hours. After an interrupt it is stopped.
        """
        with ThreadPoolExecutor(self._num_processes) as threads:
            try:
                return list(threads.map(work, jobs))
            except BaseException as error:
                if not isinstance(error, Exception):
                    self._stopped.set()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def train(
        self,
        config_file: Path,
        overrides: Sequence[str] = (),
        on_look: Callable[[], None] | None = None,
    ) -> Path:
        """Train, or find that it is done, and return the run's folder.

        Args:
            config_file: The config.
            overrides: `a.b=value` each.
            on_look: Called every now and then while the training runs, and once after it; what it
                raises ends the training and is passed on.

        Raises:
            TrainingError: If the training fails.
            TrainingStoppedError: If the study was interrupted meanwhile.
        """
        process = self._start([str(config_file), *overrides])
        try:
            while (said := _said_by(process)) is None:
                if self._stopped.is_set():
                    raise TrainingStoppedError(f"{config_file}: the study was interrupted")
                if on_look is not None:
                    on_look()
            if on_look is not None:
                on_look()
        finally:
            _end(process)
        output, errors = said
        if process.returncode != 0:
            raise TrainingError(
                f"{config_file}: found that a training with {' '.join(overrides) or 'its values'} "
                f"ended with exit code {process.returncode}; allowed: 0. It said:\n"
                f"{errors.strip()[-_LONGEST_STDERR:]}",
                process.returncode,
            )
        return Path(json.loads(output)["run_dir"])

    def _start(self, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - our own command line
            python_command("-m", "mocme.study_training", *arguments),
            stdin=_lifeline(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=python_environment(OMP_NUM_THREADS=str(self._threads)),
            start_new_session=True,
        )


@cache
def _lifeline() -> int:
    """Return a descriptor whose input ends when this process does, and holds nothing before."""
    read_end, _ = os.pipe()
    return read_end


def _said_by(process: "subprocess.Popen[str]") -> tuple[str, str] | None:
    """Wait a little; return standard output and error if the process has ended, else None."""
    try:
        return process.communicate(timeout=_SECONDS_BETWEEN_LOOKS)
    except subprocess.TimeoutExpired:
        return None


def _end(process: "subprocess.Popen[str]") -> None:
    """See to it that a process has ended, so that nobody writes to its run's folder any more."""
    process.terminate()  # nothing, if it has ended
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
