"""Which contents a dataset's items have, and which of them are in the store already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from extractors.loading import Failure, Loadable
from storage.datasets.items import Item, ItemKind
from storage.features.block import Digests
from storage.features.file_digest import numbers_digest, text_digest
from storage.features.file_index import FileIndex
from storage.features.store import RowState
from storage.files.file_access import FileProblem, FileSignature, ListedFile

_CHUNK_SIZE = 1024  # items that are looked up, and whose digests become durable, together
_CHANGED = Failure("changed while it was read", lasting=False)
_FORGOTTEN = Failure("failed before; another run is extracting it again", lasting=False)

_Digested = tuple[bytes, FileSignature | None]
"""A content's digest, and the signature of the file that it was taken of."""


@dataclass(frozen=True, slots=True)
class Content:
    """Something to extract: what one or more items hold.

    Attributes:
        position: Of the first item that holds it.
        digest: Its address in the store.
        raw: What is to be loaded; a file as it was when its digest was taken.
    """

    position: int
    digest: bytes
    raw: Loadable

    def is_unchanged(self) -> bool:
        """Whether the digest is still that of the file."""
        return not isinstance(self.raw, ListedFile) or self.raw.is_unchanged()


class Chunk(NamedTuple):
    """What the scan of some items has found.

    Attributes:
        contents: Those that the store does not know, if the scan meets them for the first time.
        num_unscanned: Items that the scan has yet to come to.
    """

    contents: list[Content]
    num_unscanned: int


class Known(Protocol):
    """What is known of contents: a feature store, or nothing at all."""

    def lookup(self, digests: Digests) -> list[RowState]:
        """Say for each digest whether it has a vector, has failed, or is new."""
        ...

    def failures(self) -> dict[bytes, str]:
        """Return the reason of every digest that has failed."""
        ...


class NothingKnown:
    """What is known of contents before the first extraction into a feature space."""

    def lookup(self, digests: Digests) -> list[RowState]:
        """Say of each digest that it is new."""
        return ["new"] * len(digests)

    def failures(self) -> dict[bytes, str]:
        """Return nothing: nothing has failed yet."""
        return {}


class Inventory:
    """Digests of items, and what the store knew of them when they were first seen.

    Args:
        root: The dataset's folder.
        items: The items.
        kind: What they are.
        known: What is known of their contents.
        index: Digests of files.
        retry_failed: Whether what has failed before counts as new.

    Attributes:
        digests: Of every item; None where there is no content.
        states: What the store held before the run, by digest; what is tried again is new.
    """

    def __init__(
        self,
        root: Path,
        items: Sequence[Item],
        kind: ItemKind,
        known: Known,
        index: FileIndex,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._root, self._items, self._kind = root, items, kind
        self._known, self._index, self._retry_failed = known, index, retry_failed
        self.digests: list[bytes | None] = [None] * len(items)
        self._problems: dict[int, Failure] = {}
        self.states: dict[bytes, RowState] = {}

    def scan(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Take the digests of items, and find the contents that the store does not know.

        A file that has not changed since its last scan is not read.

        Yields:
            Chunks, as they are found; no content is in two of them.
        """
        seen: set[bytes] = set()
        for start in range(0, len(positions), _CHUNK_SIZE):
            chunk = positions[start : start + _CHUNK_SIZE]
            contents = list(self._scan_chunk(chunk, seen))
            yield Chunk(contents, len(positions) - start - len(chunk))

    def _scan_chunk(self, positions: Sequence[int], seen: set[bytes]) -> Iterator[Content]:
        """Take the digests of items. Yields the new contents, and adds them to those seen."""
        found = self._digest_files(positions) if self._kind == "file" else self._digest(positions)
        self._look_up([digest for digest, _ in found.values()])
        for position, (digest, file_signature) in found.items():
            self.digests[position] = digest
            if self.states[digest] == "new" and digest not in seen:
                seen.add(digest)
                yield Content(position, digest, self._raw(position, file_signature))

    def unsettled(self, outcomes: Mapping[bytes, Failure | None]) -> list[int]:
        """Return the positions of items whose new content has no outcome yet."""
        return [
            position
            for position, digest in enumerate(self.digests)
            if digest is not None and self.states[digest] == "new" and digest not in outcomes
        ]

    def settle(self, position: int, outcomes: Mapping[bytes, Failure | None]) -> bytes | Failure:
        """Return the digest under which an item's vector is stored, or why it has none.

        Args:
            position: The item's.
            outcomes: Of the contents that this run extracted: None, or why there is no vector.
        """
        digest = self.digests[position]
        if digest is None:
            return self._problems[position]
        if self.states[digest] == "failed":
            reason = self._earlier_failures.get(digest)
            return _FORGOTTEN if reason is None else Failure(reason)
        failure = outcomes.get(digest, _CHANGED) if self.states[digest] == "new" else None
        return digest if failure is None else failure

    @cached_property
    def _earlier_failures(self) -> dict[bytes, str]:
        return self._known.failures()

    def _look_up(self, digests: Sequence[bytes]) -> None:
        unknown = list({digest for digest in digests if digest not in self.states})
        states = self._known.lookup(unknown)
        if self._retry_failed:
            states = ["new" if state == "failed" else state for state in states]
        self.states.update(zip(unknown, states, strict=True))

    def _digest(self, positions: Sequence[int]) -> dict[int, _Digested]:
        """Return the digests of texts or numbers, by the items' positions."""
        found: dict[int, _Digested] = {}
        for position in positions:
            raw = self._items[position].content
            digest = text_digest(raw) if isinstance(raw, str) else numbers_digest(raw)
            found[position] = digest, None
        return found

    def _digest_files(self, positions: Sequence[int]) -> dict[int, _Digested]:
        """Return the digests of files, and note the problems of those that have none."""
        found: dict[int, _Digested] = {}
        paths = [str(self._items[position].content) for position in positions]
        files = self._index.digests(self._root, paths)
        for position, file in zip(positions, files, strict=True):
            self._problems.pop(position, None)
            self.digests[position] = None
            if isinstance(file, FileProblem):
                self._problems[position] = Failure(file.reason, lasting=False)
            else:
                found[position] = file
        return found

    def _raw(self, position: int, file_signature: FileSignature | None) -> Loadable:
        """Return what is to be loaded for an item."""
        content = self._items[position].content
        if file_signature is None:
            return content
        return ListedFile(str(self._root.absolute()), str(content), file_signature)
