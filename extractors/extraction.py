"""Extracting the features of one modality: what the store has never seen, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

from extractors.engine.inventory import Inventory
from extractors.engine.pipeline import OnProgress, Pipeline
from extractors.engine.sharding import ShardedPipeline
from extractors.loading import Failure
from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan, num_missing
from extractors.report import (
    Counts,
    Extraction,
    FailedItem,
    Progress,
    commonest,
    digest_of,
)
from extractors.shards import Cluster
from storage.datasets.dataset import Dataset
from storage.datasets.items import Item
from storage.errors import MocmeError
from storage.features.file_index import FileIndex
from storage.features.shards import adopt_shards
from storage.features.store import FeatureStore

__all__ = [
    "Counts",
    "Extraction",
    "ExtractionError",
    "FailedItem",
    "ModalityPlan",
    "Progress",
    "extract_modality",
]

_NUM_PASSES = 2  # a file that changes while it is read is read once more


class ExtractionError(MocmeError):
    """More items failed than the config allows; everything good is stored all the same.

    Args:
        extraction: The outcome.
        max_failure_rate: What the config allows.
    """

    def __init__(self, extraction: Extraction, max_failure_rate: float) -> None:
        self.extraction = extraction
        counts, first = extraction.counts, extraction.failures[0]
        reason, number = commonest(failure.reason for failure in extraction.failures)
        own_reason = "" if first.reason == reason else f": {first.reason}"
        super().__init__(
            f"modality '{extraction.modality}': found {counts.failed} failed items "
            f"({counts.failure_rate:.1%}) of {counts.num_items}, {number} of them: {reason}; the "
            f"first one entity '{first.entity}', {first.item}{own_reason}; allowed: "
            f"max_failure_rate {max_failure_rate:.1%}; all others are stored; to go on without "
            "these: --set extract.max_failure_rate=1"
        )


def extract_modality(
    dataset: Dataset,
    plan: ModalityPlan,
    store_root: Path,
    options: ExtractOptions,
    on_progress: OnProgress | None = None,
    cluster: Cluster | None = None,
) -> Extraction:
    """Bring the stored features of one modality up to date.

    Only contents that the store has never seen are extracted, once each, however many items hold
    them. Several threads or processes may do this at the same time. What an earlier run had
    extracted by a cluster, and was killed before it was merged, is merged first.

    Args:
        dataset: Where the items are listed.
        plan: What to extract.
        store_root: Folder of the feature store.
        options: How to run.
        on_progress: Called now and then, from this thread; an exception of it ends the run.
        cluster: Extracts in this process's stead; by default, this process does.

    Raises:
        DatasetError: If the fields do not hold items of the extractor's kind.
        ExtractionError: After everything good is stored, if too large a share of the items failed.
    """
    extractor = plan.extractor
    items = plan.items_of(dataset)
    with (
        FeatureStore.open(store_root, extractor.space(options.dtype)) as store,
        FileIndex.open(store_root) as index,
    ):
        if store.is_writable:
            adopt_shards(store, store_root)
        inventory = Inventory(
            dataset.root,
            items,
            extractor.item_kind,
            store,
            index,
            retry_failed=options.retry_failed,
        )
        pipeline = (
            Pipeline(plan.name, extractor, store, options, on_progress)
            if cluster is None
            else ShardedPipeline(plan, len(items), store, cluster, options.shard_size, on_progress)
        )
        _bring_up_to_date(inventory, pipeline, len(items))
        extraction = _summarise(dataset, plan, items, inventory, pipeline)
    if extraction.counts.failure_rate > options.max_failure_rate:
        raise ExtractionError(extraction, options.max_failure_rate)
    return extraction


def _bring_up_to_date(
    inventory: Inventory, pipeline: Pipeline | ShardedPipeline, num_items: int
) -> None:
    """Extract what is new, and once more what changed while it was read."""
    positions: Sequence[int] = range(num_items)
    for _ in range(_NUM_PASSES):
        pipeline.run(inventory.scan(positions))
        positions = inventory.unsettled(pipeline.outcomes)


def _summarise(
    dataset: Dataset,
    plan: ModalityPlan,
    items: Sequence[Item],
    inventory: Inventory,
    pipeline: Pipeline | ShardedPipeline,
) -> Extraction:
    """Count references, and name those that failed."""
    references: list[tuple[int, bytes]] = []
    failures: list[FailedItem] = []
    num_cached = 0
    for position, item in enumerate(items):
        settled = inventory.settle(position, pipeline.outcomes)
        if isinstance(settled, Failure):
            entity = dataset.entities[item.entity].id
            found = FailedItem(entity, plan.describe(item), settled.reason, settled.lasting)
            failures.append(found)
        else:
            references.append((item.entity, settled))
            num_cached += inventory.states[settled] == "stored"
    return Extraction(
        modality=plan.name,
        counts=Counts(
            new=len(references) - num_cached,
            cached=num_cached,
            failed=len(failures),
            missing=num_missing(dataset, items),
        ),
        failures=tuple(failures),
        store_directory=pipeline.store.directory,
        references=tuple(references),
        content_digest=digest_of(pipeline.store.space, references),
    )
