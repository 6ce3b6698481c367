"""What an extraction tells: its progress, its counts and its failures."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.features.space import FeatureSpace

ALMOST_ALL = 0.9
"""Share of failed items above which a modality is as good as not there."""


@dataclass(frozen=True)
class Progress:
    """How far an extraction has come.

    Attributes:
        modality: Name of the modality.
        done: Contents that have a vector or a failure since the start of this run.
        total: Contents that had neither at its start, at most: items that were not looked at yet
            count, too.
        failed: Those of `done` that failed.
        seconds: Time since the first content was handed out.
    """

    modality: str
    done: int
    total: int
    failed: int
    seconds: float

    @property
    def items_per_second(self) -> float:
        """Mean rate; 0 at the start."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left at that rate; None while nothing is done."""
        rate = self.items_per_second
        return (self.total - self.done) / rate if rate > 0 else None


@dataclass(frozen=True)
class Counts:
    """Counts of references: (entity, item) pairs.

    Attributes:
        new: Their content got its vector in this run.
        cached: Their content had one before.
        failed: Their content has none, since this run or an earlier one failed on it.
        missing: Entities that list no item.
    """

    new: int
    cached: int
    failed: int
    missing: int

    @property
    def num_items(self) -> int:
        """Number of all references."""
        return self.new + self.cached + self.failed

    @property
    def failure_rate(self) -> float:
        """Share of the references that failed; 0 where there are none."""
        return self.failed / self.num_items if self.num_items else 0.0


@dataclass(frozen=True)
class FailedItem:
    """A reference without a vector.

    Attributes:
        entity: The entity's id.
        item: The file's path as listed, or the fields that were read.
        reason: Why, in one line.
        lasting: Whether this is remembered, so that only `extract.retry_failed` tries again; what
            was absent, or failed for want of memory, is tried again by itself.
    """

    entity: str
    item: str
    reason: str
    lasting: bool


@dataclass(frozen=True)
class Extraction:
    """The outcome of an extraction.

    Attributes:
        modality: Name of the modality.
        counts: Counts of references.
        failures: The references that failed, in entity order.
        store_directory: Where the vectors are.
        references: Entity row and content digest of every item with a vector, in entity order.
        content_digest: SHA-256, in hex, of the feature space and the references: all of an
            extraction that what is computed from it depends on.
    """

    modality: str
    counts: Counts
    failures: tuple[FailedItem, ...]
    store_directory: Path
    references: tuple[tuple[int, bytes], ...]
    content_digest: str

    @property
    def warning(self) -> str | None:
        """What to say if almost every item failed; None if not."""
        reasons = (failure.reason for failure in self.failures)
        return failure_warning(self.modality, self.counts, reasons)


def failure_warning(modality: str, counts: Counts, reasons: Iterable[str]) -> str | None:
    """Say of a modality that almost every item of it failed; return None where that is not so.

    Args:
        modality: Its name.
        counts: Counts of its references.
        reasons: Of each that failed.
    """
    if counts.failure_rate <= ALMOST_ALL:
        return None
    reason, number = commonest(reasons)
    share = f"{counts.failed} of {counts.num_items}"
    return f"{modality}: {share} items failed, {number} of them: {reason}"


def commonest(reasons: Iterable[str]) -> tuple[str, int]:
    """Return the reason that most failures have, and how many; there must be one."""
    return Counter(reasons).most_common(1)[0]


def digest_of(space: FeatureSpace, references: Sequence[tuple[int, bytes]]) -> str:
    """Return the `content_digest` of an extraction."""
    state = hashlib.sha256(space.fingerprint.encode())
    for entity, digest in references:
        state.update(entity.to_bytes(8, "little") + digest)
    return state.hexdigest()
