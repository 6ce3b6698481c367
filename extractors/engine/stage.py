"""Stages of a pipeline: threads that work a few steps behind, or a step ahead of, another one."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def ahead(name: str, source: Iterator[T]) -> Generator[T]:
    """Yield what an iterator yields, which a thread advances one step ahead.

    Args:
        name: The thread's name.
        source: Must not yield None.
    """
    with ThreadPoolExecutor(1, thread_name_prefix=name) as executor:
        upcoming = executor.submit(next, source, None)
        while (item := upcoming.result()) is not None:
            upcoming = executor.submit(next, source, None)
            yield item


class Stage:
    """A thread that does calls in order.

    On leaving its context, all calls are done first; after an error, only the one under way.

    Args:
        name: The thread's name.
        max_waiting: Calls that may wait behind the one under way; a further one blocks.
    """

    def __init__(self, name: str, max_waiting: int = 1) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self._calls: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        try:
            if error_type is None:
                self.finish()
        finally:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a call done. Raises what an earlier one has raised."""
        while len(self._calls) > self._max_waiting:
            self._calls.popleft().result()
        self._calls.append(self._executor.submit(call, *args, **kwargs))

    def finish(self) -> None:
        """Wait until all calls are done. Raises what one of them has raised."""
        while self._calls:
            self._calls.popleft().result()
