"""Log records whose text is visible, wherever handlers write it: a terminal, a file, a server."""

import logging
import traceback
from typing import Any

from storage.words.visible import visible


class VisibleRecord(logging.LogRecord):
    """A log record whose message and traceback hold no hidden characters."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        if self.exc_info and self.exc_info[0] is not None:
            lines = traceback.format_exception(*self.exc_info)
            self.exc_text = visible("".join(lines).rstrip("\n"))  # formatters take it from here

    def getMessage(self) -> str:  # noqa: N802 - the name that logging calls
        """Return the message with its arguments."""
        return visible(super().getMessage())


def escape_log_records() -> None:
    """Have all loggers of this process make such records."""
    logging.setLogRecordFactory(VisibleRecord)
