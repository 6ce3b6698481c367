"""Loading one item, and saying in one line why it could not be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from extractors.base import MediaError, RawContent
from storage.datasets.items import ItemKind
from storage.errors import MocmeError
from storage.files.file_access import ListedFile, problem_of

_MAX_REASON_LENGTH = 300
_TROUBLES_OF_THE_MACHINE = (OSError, MemoryError, ImportError)

Loadable = RawContent | ListedFile
"""What is to be loaded; a file of a dataset is opened only where that is as it was listed."""


class Loader(Protocol):
    """Something that loads items: an extractor, or what makes small copies of media."""

    @property
    def item_kind(self) -> ItemKind:
        """What the items are."""
        ...

    def load(self, content: RawContent) -> Any:
        """Decode one item."""
        ...


@dataclass(frozen=True)
class Failure:
    """Why an item has no vector.

    Attributes:
        reason: One line.
        lasting: Whether the item itself is at fault, so that another try would fail too.
    """

    reason: str
    lasting: bool = True


def load_item(loader: Loader, content: Loadable) -> object:
    """Decode one item: what the loader's `load` returns, or a `Failure`.

    Raises:
        MocmeError: If no item can be decoded, say for want of a vocabulary.
    """
    if not isinstance(content, ListedFile):
        return _load(loader, content)
    try:
        with content.pinned() as path:
            return _named(_load(loader, path), path, content.relative)
    except OSError as error:
        return Failure(problem_of(error).reason, lasting=False)


def _load(loader: Loader, content: RawContent) -> object:
    try:
        return loader.load(content)
    except MocmeError:
        raise
    except MediaError as error:
        return Failure(one_line(str(error)))
    except Exception as error:
        return failure_of(error)


def _named(loaded: object, path: Path, name: str) -> object:
    """Call a file in the reason of a failure as the dataset does."""
    if not isinstance(loaded, Failure):
        return loaded
    return Failure(loaded.reason.replace(str(path), name), loaded.lasting)


def failure_of(error: Exception) -> Failure:
    """Describe an unexpected error; a lack of memory, of files or of a library will not last."""
    lasting = not isinstance(error, _TROUBLES_OF_THE_MACHINE)
    return Failure(one_line(f"{type(error).__name__}: {error}"), lasting)


def one_line(text: str) -> str:
    """Return a text as a reason: on one line, at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_REASON_LENGTH else line[: _MAX_REASON_LENGTH - 3] + "..."
