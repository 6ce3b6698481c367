"""Has a cluster extract: divides new contents into shards, hands them out, merges what comes back.

Stands in for the pipeline of a single machine. Shards are merged in the order in which they were
made, so that a store's rows end in the same order whoever is fastest; those that wait for their
turn when the run is killed are merged by the next one.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from extractors.engine.inventory import Chunk, Content
from extractors.engine.pipeline import OnProgress
from extractors.engine.stage import ahead
from extractors.loading import Failure
from extractors.plan import ModalityPlan
from extractors.report import Progress
from extractors.shards import Cluster, Pending, Shard, ShardReport
from storage.features.shards import merge_shard
from storage.features.store import FeatureStore

_NOTHING = ShardReport({})


class _HandedOut(NamedTuple):
    shard: Shard
    contents: Sequence[Content]
    pending: Pending


class ShardedPipeline:
    """Has contents extracted by a cluster, into a store.

    Args:
        plan: What to extract.
        num_items: Items of the plan.
        store: Where the vectors go.
        cluster: Extracts the shards.
        shard_size: Contents of a shard, at most.
        on_progress: Called after every shard, from the calling thread.

    Attributes:
        store: Where the vectors go.
        outcomes: Of every content that is settled: None, or why it has no vector.
    """

    def __init__(
        self,
        plan: ModalityPlan,
        num_items: int,
        store: FeatureStore,
        cluster: Cluster,
        shard_size: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._modality, self._num_items, self.store = plan.name, num_items, store
        self._cluster, self._shard_size, self._on_progress = cluster, shard_size, on_progress
        self._total = self._num_failed = 0
        self._start = time.monotonic()
        self.outcomes: dict[bytes, Failure | None] = {}

    def run(self, chunks: Iterator[Chunk]) -> None:
        """Have contents extracted. Those of files that change meanwhile remain without an outcome.

        Args:
            chunks: Advanced by a thread of its own; a shard is handed out as soon as it is full.

        Raises:
            Exception: What has ended a shard; after all others are merged.
        """
        with closing(ahead("scan", chunks)) as scanned:
            handed_out = [self._hand_out(part) for part in self._parts(scanned)]
        errors = [error for shard in handed_out for error in self._take_back(shard)]
        if errors:
            raise errors[0]

    def _parts(self, chunks: Iterable[Chunk]) -> Iterator[list[Content]]:
        """Yield the contents of one shard after another, and keep count of how many there are."""
        total, waiting = len(self.outcomes), list[Content]()
        for chunk in chunks:
            total += len(chunk.contents)
            self._total = total + chunk.num_unscanned
            waiting += chunk.contents
            while len(waiting) >= self._shard_size:
                yield waiting[: self._shard_size]
                del waiting[: self._shard_size]
        if waiting:
            yield waiting

    def _hand_out(self, contents: Sequence[Content]) -> _HandedOut:
        shard = Shard.of(self._modality, self.store.space.fingerprint, self._num_items, contents)
        self._report()
        return _HandedOut(shard, contents, self._cluster.submit(shard))

    def _take_back(self, handed_out: _HandedOut) -> list[Exception]:
        """Merge a shard when it is done, be it in part. Returns what has ended it, if anything."""
        report, errors = _NOTHING, list[Exception]()
        try:
            report = handed_out.pending.result()
        except Exception as error:
            errors.append(error)
        merge_shard(self.store, self.store.directory.parents[1], handed_out.shard.name)
        self._settle(handed_out.contents, report)
        self._report()
        return errors

    def _settle(self, contents: Sequence[Content], report: ShardReport) -> None:
        """Note what became of contents; what was neither stored nor has failed has changed."""
        digests = [content.digest for content in contents]
        for digest, state in zip(digests, self.store.lookup(digests), strict=True):
            failure = report.failures.get(digest.hex())
            if state == "stored":
                self.outcomes[digest] = None
            elif failure is not None:
                self.outcomes[digest] = failure
                self._num_failed += 1

    def _report(self) -> None:
        if self._on_progress is not None:
            done, seconds = len(self.outcomes), time.monotonic() - self._start
            self._on_progress(
                Progress(self._modality, done, self._total, self._num_failed, seconds)
            )
