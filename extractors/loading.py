"""Loading one item, and saying in one line why it could not be."""

from dataclasses import dataclass
from typing import Any

from extractors.base import Extractor, MediaError, RawContent
from storage.errors import MocmeError

_MAX_REASON_LENGTH = 300
_TROUBLES_OF_THE_MACHINE = (OSError, MemoryError, ImportError)


@dataclass(frozen=True)
class Failure:
    """Why an item has no vector.

    Attributes:
        reason: One line.
        lasting: Whether the item itself is at fault, so that another try would fail too.
    """

    reason: str
    lasting: bool = True


def load_item(extractor: Extractor[Any, Any], content: RawContent) -> object:
    """Decode one item: what the extractor's `load` returns, or a `Failure`.

    Raises:
        MocmeError: If no item can be decoded, say for want of a vocabulary.
    """
    try:
        return extractor.load(content)
    except MocmeError:
        raise
    except MediaError as error:
        return Failure(one_line(str(error)))
    except Exception as error:
        return failure_of(error)


def failure_of(error: Exception) -> Failure:
    """Describe an unexpected error; a lack of memory, of files or of a library will not last."""
    lasting = not isinstance(error, _TROUBLES_OF_THE_MACHINE)
    return Failure(one_line(f"{type(error).__name__}: {error}"), lasting)


def one_line(text: str) -> str:
    """Return a text as a reason: on one line, at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_REASON_LENGTH else line[: _MAX_REASON_LENGTH - 3] + "..."
