"""What holds an LMDB environment open, among other things, until it is closed."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Handle:
    """Closes what it holds when its context is left, or `close` is called; twice does no harm."""

    def __init__(self) -> None:
        self._closing = ExitStack()

    def close(self) -> None:
        """Give back what is held; nothing more can be read or written."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
