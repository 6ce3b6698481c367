"""The console that shows what a user's files hold: no markup, no control characters."""

import os
import sys
from collections.abc import Iterator
from typing import IO, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from storage.words.visible import visible, visible_line

_WIDTH_OF_A_FILE = 140  # columns, where no terminal says how many it has


class VisibleConsole(Console):
    """A console on which every string is text, whatever brackets, colons and escapes it holds.

    Args:
        stderr: Whether it writes to standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(
            stderr=stderr,
            width=None if _knows_width(stream) else _WIDTH_OF_A_FILE,
            markup=False,
            emoji=False,
            highlight=False,
        )

    @property
    def file(self) -> IO[str]:
        """The stream to write to, past what escapes the text of others."""
        file = super().file
        return getattr(file, "trusted", file)

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Render anything; text that reached it by another way than strings is escaped, too."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=visible(segment.text))

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text, hidden and unwritable characters as escapes."""
        shown = visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return super().render_str(shown, **options)

    def status(self, status: Any, **options: Any) -> Status:
        """Show what the program does, on a terminal."""
        spinner = "dots" if self.encoding.startswith("utf") else "line"
        return super().status(Text(visible_line(str(status))), spinner=spinner, **options)


def _knows_width(stream: TextIO | None) -> bool:
    """Whether the environment or a terminal says how wide a line may be; 0 columns say nothing."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return columns.strip("0") != ""
    return stream is not None and stream.isatty()
