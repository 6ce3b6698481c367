"""Decoding in worker processes that may hang, crash or be killed without harm to the run."""

import pickle
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from typing import Any, Protocol, Self, TypeVar

from extractors.base import Extractor
from extractors.engine.worker import READY
from extractors.loading import Failure, Loadable, Loader, load_item
from extractors.options import ExtractOptions
from storage.isolation import python_command, python_environment

KeyT = TypeVar("KeyT")

_MAX_FAILED_STARTS = 3
_MAX_DEATHS = 2  # one may have come from outside; a second one is the item's own doing
_REAP_SECONDS = 5.0
_THREAD_LIMITS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerStartError(RuntimeError):
    """Workers that cannot start: the fault of an installation or an extractor, not of an item."""


@dataclass
class _Task:
    """An item to decode, and how many workers died of it."""

    key: Any
    content: Loadable
    num_deaths: int = 0


class Decoder(Protocol):
    """Something that decodes; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def load(self, contents: Iterable[tuple[KeyT, Loadable]]) -> Iterator[tuple[KeyT, object]]:
        """Decode contents.

        Args:
            contents: Contents, each with a key that tells the caller what it is.

        Yields:
            Keys, in the order of completion, with what `load` returned or the `Failure`.
        """
        ...


def open_decoder(extractor: Extractor[Any, Any], options: ExtractOptions) -> Decoder:
    """Return what decodes for an extractor: worker processes, or this one if that is cheaper."""
    if extractor.decodes_in_workers:
        return DecodingPool(extractor, options.num_workers, options.timeout_seconds)
    return InlineDecoder(extractor)


class InlineDecoder:
    """Decodes in the calling process, for what is too cheap to send around."""

    def __init__(self, extractor: Extractor[Any, Any]) -> None:
        self._extractor = extractor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, contents: Iterable[tuple[KeyT, Loadable]]) -> Iterator[tuple[KeyT, object]]:
        """Decode contents; see `Decoder`."""
        for key, content in contents:
            yield key, load_item(self._extractor, content)


class DecodingPool:
    """Worker processes that decode items ahead of their use.

    A worker that dies or exceeds the time limit is replaced; only the item that it was decoding
    is affected.

    Args:
        loader: Its `load` decodes. It is pickled here, once.
        num_workers: How many items to decode at the same time.
        timeout_seconds: Time limit for one item.
    """

    def __init__(self, loader: Loader, num_workers: int, timeout_seconds: float) -> None:
        self._payload = pickle.dumps((loader, timeout_seconds))
        self._num_workers = num_workers
        self._timeout_seconds = timeout_seconds
        # A second task waits in a worker's socket, lest the worker wait for this process. Not so
        # for contents of any length: both sides could block in sending.
        self._tasks_per_worker = 2 if loader.item_kind == "file" else 1
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._returned: deque[_Task] = deque()
        self._num_failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()
        self._selector.close()

    def load(self, contents: Iterable[tuple[KeyT, Loadable]]) -> Iterator[tuple[KeyT, object]]:
        """Decode contents, at most two per worker ahead of the caller; see `Decoder`.

        Raises:
            WorkerStartError: If no worker can start.
        """
        waiting = (_Task(key, content) for key, content in contents)
        while self._feed(waiting):
            for selected, _ in self._selector.select():
                answer = self._collect(selected.data)
                if answer is not None:
                    yield answer

    def _feed(self, waiting: Iterator[_Task]) -> bool:
        """Hand out tasks, one to everybody before a second to anybody; start missing workers.

        Returns:
            Whether anything is being decoded now.
        """
        for depth in range(self._tasks_per_worker):
            for place in range(self._num_workers):
                if place < len(self._workers) and len(self._workers[place].tasks) > depth:
                    continue
                task = self._returned.popleft() if self._returned else next(waiting, None)
                if task is None:
                    return any(worker.tasks for worker in self._workers)
                if place == len(self._workers):
                    self._start_worker()
                self._workers[place].give(task)
        return True

    def _start_worker(self) -> None:
        worker = _Worker(self._payload)
        self._workers.append(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)

    def _collect(self, worker: "_Worker") -> tuple[Any, object] | None:
        """Read a worker's next message. Returns an answer, if it was one."""
        try:
            message = worker.receive()
        except (EOFError, OSError):
            return self._bury(worker)
        if worker.ready:
            return worker.tasks.popleft().key, message
        if message != READY:
            raise WorkerStartError(f"a decoding worker cannot start: {message}")
        worker.ready = True
        self._num_failed_starts = 0
        return None

    def _bury(self, worker: "_Worker") -> tuple[Any, Failure] | None:
        """Take back a dead worker's tasks. Returns the one that it died of, if that is certain."""
        self._selector.unregister(worker.connection)
        self._workers.remove(worker)
        exit_code = worker.stop(patience_seconds=_REAP_SECONDS)
        failure = None
        if not worker.ready:
            self._count_failed_start(exit_code)
        elif worker.tasks:
            failure = self._blame(worker.tasks[0], exit_code)
        answer = None if failure is None else (worker.tasks.popleft().key, failure)
        self._returned.extend(worker.tasks)
        return answer

    def _blame(self, task: _Task, exit_code: int) -> Failure | None:
        """Return what a worker's death means for the item in it; None to try it once more."""
        if exit_code == -signal.SIGALRM:
            return Failure(f"not decoded within {self._timeout_seconds:g} s")
        task.num_deaths += 1
        if task.num_deaths < _MAX_DEATHS:
            return None
        return Failure(f"crashed the decoder ({_describe_exit(exit_code)})")

    def _count_failed_start(self, exit_code: int) -> None:
        """Count a death before the first item, unless another worker goes on meanwhile."""
        if any(worker.ready for worker in self._workers):
            return
        self._num_failed_starts += 1
        if self._num_failed_starts == _MAX_FAILED_STARTS:
            raise WorkerStartError(
                f"{_MAX_FAILED_STARTS} decoding workers in a row died while starting "
                f"({_describe_exit(exit_code)})"
            )


class _Worker:
    """One process, the connection to it, and what it has not answered yet.

    Args:
        payload: The extractor and the time limit, pickled.
    """

    def __init__(self, payload: bytes) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                python_command("-m", "extractors.engine.worker", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                env=python_environment(**_THREAD_LIMITS),
                process_group=0,  # the terminal's Ctrl-C is the main process's affair
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.tasks: deque[_Task] = deque()
        self.ready = False
        self._send(payload)

    def give(self, task: _Task) -> None:
        """Add a task to those that it was given before."""
        self.tasks.append(task)
        self._send(pickle.dumps(task.content))

    def receive(self) -> object:
        """Return its next message; EOFError or OSError if it is dead."""
        return pickle.loads(self.connection.recv_bytes())  # noqa: S301 - from our own process

    def stop(self, patience_seconds: float = 0) -> int:
        """End the process, whatever it does. Returns its exit code, negative for a signal."""
        self.connection.close()
        try:
            return self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _send(self, message: bytes) -> None:
        with suppress(ConnectionError):  # it is dead, which `receive` will tell
            self.connection.send_bytes(message)


def _describe_exit(exit_code: int) -> str:
    """Name the signal or the code that a process ended with."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal
        return f"signal {-exit_code}"
