"""Scan, decode, encode and commit at the same time.

One thread scans for new contents, worker processes decode them, the calling thread collects
batches, a second thread encodes them, a third one commits them, one transaction a batch. Each
stage is at most a batch or two ahead of the next (the scan: a chunk), so memory stays flat. A run
that is killed loses the batches under way and nothing else.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any

from extractors.base import Extractor
from extractors.engine.batching import Batcher
from extractors.engine.decoding import Decoder, open_decoder
from extractors.engine.encoding import Encoder, Row
from extractors.engine.inventory import Chunk, Content
from extractors.engine.stage import Stage, ahead
from extractors.loading import Failure
from extractors.options import ExtractOptions
from extractors.report import Progress
from storage.features.store import FeatureStore

_PROGRESS_SECONDS = 0.2
_FAILURES = -1  # key of the batches of items that failed to load; an extractor's keys are >= 0

OnProgress = Callable[[Progress], None]
Loaded = tuple[bytes, object]
"""A content's digest, and what `load` returned for it, or its `Failure`."""


class Pipeline:
    """Extracts contents into a store.

    Args:
        modality: Name for the progress.
        extractor: What turns a content into a vector.
        store: Where the vectors go.
        options: How to run.
        on_progress: Called now and then, from the calling thread.

    Attributes:
        store: Where the vectors go.
        outcomes: Of every content that is settled: None, or why it has no vector.
    """

    def __init__(
        self,
        modality: str,
        extractor: Extractor[Any, Any],
        store: FeatureStore,
        options: ExtractOptions,
        on_progress: OnProgress | None,
    ) -> None:
        self._modality, self._extractor, self.store = modality, extractor, store
        self._options, self._on_progress = options, on_progress
        self._encoder = Encoder(extractor, store.space.dtype, options.batch_size)
        self._num_failed = 0
        self._total = 0
        self._start = self._last_progress = time.monotonic()
        self.outcomes: dict[bytes, Failure | None] = {}

    def run(self, chunks: Iterator[Chunk]) -> None:
        """Extract contents. Those of files that change meanwhile remain without an outcome.

        Args:
            chunks: Advanced by a thread of its own while earlier contents are being extracted.
        """
        with closing(ahead("scan", chunks)) as scanned:
            contents = self._contents(scanned)
            first = next(contents, None)
            if first is not None:
                self._extract(chain([first], contents))

    def _contents(self, chunks: Iterable[Chunk]) -> Iterator[Content]:
        """Yield contents, and keep count of how many there may be."""
        total = len(self.outcomes)
        for chunk in chunks:
            total += len(chunk.contents)
            self._total = total + chunk.num_unscanned
            yield from chunk.contents

    def _extract(self, contents: Iterable[Content]) -> None:
        if not self.outcomes:
            self._start = time.monotonic()
        with (
            Stage("commit") as committing,
            Stage("encode") as encoding,
            open_decoder(self._extractor, self._options) as decoder,
        ):
            encoding.submit(self._extractor.warm_up)
            for batch in self._batches(decoder, self._in_order(contents)):
                encoding.submit(self._encode, batch, committing)
        self._report()

    def _in_order(self, contents: Iterable[Content]) -> Iterable[Content]:
        """Have texts of similar length share batches, the longest first.

        So little is padded, and should memory not suffice, that shows at once.
        """
        if self._extractor.item_kind != "text":
            return contents
        return sorted(contents, key=lambda content: len(str(content.raw)), reverse=True)

    def _batches(self, decoder: Decoder, contents: Iterable[Content]) -> Iterator[list[Loaded]]:
        """Decode contents. Yields batches, of loaded items or of failures."""
        batcher: Batcher[Loaded] = Batcher(self._options.batch_size)
        for content, loaded in decoder.load((content, content.raw) for content in contents):
            self._report_now_and_then()
            if not content.is_unchanged():
                continue
            failed = isinstance(loaded, Failure)
            key = _FAILURES if failed else self._extractor.batch_key(loaded)
            batch = batcher.add(key, (content.digest, loaded))
            if batch is not None:
                yield batch
        yield from batcher.flush()

    def _encode(self, batch: Sequence[Loaded], committing: Stage) -> None:
        digests, loaded = zip(*batch, strict=True)
        rows = loaded if isinstance(loaded[0], Failure) else self._encoder.encode(loaded)
        committing.submit(self._commit, dict(zip(digests, rows, strict=True)))

    def _commit(self, rows: Mapping[bytes, Row | Failure]) -> None:
        """Store a batch's rows and lasting failures, then settle it."""
        failures = {digest: row for digest, row in rows.items() if isinstance(row, Failure)}
        vectors = {digest: row for digest, row in rows.items() if not isinstance(row, Failure)}
        lasting = {digest: row.reason for digest, row in failures.items() if row.lasting}
        self.store.write(vectors, lasting)
        self.outcomes.update({digest: failures.get(digest) for digest in rows})
        self._num_failed += len(failures)

    def _report_now_and_then(self) -> None:
        if time.monotonic() - self._last_progress >= _PROGRESS_SECONDS:
            self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._last_progress = time.monotonic()
            seconds = self._last_progress - self._start
            self._on_progress(
                Progress(self._modality, len(self.outcomes), self._total, self._num_failed, seconds)
            )
