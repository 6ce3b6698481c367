"""A shard of an extraction: what a process, on whatever machine, extracts into a store of its own.

The shard's folder is named after its contents: started again, it goes on where it was killed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from extractors.engine.inventory import Content, Inventory
from extractors.engine.pipeline import Pipeline
from extractors.loading import Failure
from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan
from storage.datasets.items import Item
from storage.errors import MocmeError
from storage.features.file_index import FileIndex
from storage.features.lock import owning, writing
from storage.features.shards import shard_folder
from storage.features.store import FeatureStore

_NAME_LENGTH = 32  # hex digits


@dataclass(frozen=True)
class Shard:
    """Some new contents of one modality, for one process to extract; plain, small, picklable.

    Attributes:
        name: Of its folder; digest of the feature space and of the contents.
        modality: Name of the modality.
        fingerprint: Of the feature space.
        num_items: Items of the modality's plan.
        positions: Which of them hold the contents.
    """

    name: str
    modality: str
    fingerprint: str
    num_items: int
    positions: tuple[int, ...]

    @classmethod
    def of(
        cls, modality: str, fingerprint: str, num_items: int, contents: Sequence[Content]
    ) -> "Shard":
        """Return the shard of some contents."""
        state = hashlib.sha256(fingerprint.encode())
        for digest in sorted(content.digest for content in contents):
            state.update(digest)
        positions = tuple(content.position for content in contents)
        name = state.hexdigest()[:_NAME_LENGTH]
        return cls(name, modality, fingerprint, num_items, positions)


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        failures: Why contents have no vector, by digest in hex; the shard's store holds the others,
            and those of these failures that are remembered.
    """

    failures: Mapping[str, Failure]


class Pending(Protocol):
    """A shard that was handed out."""

    def result(self) -> ShardReport:
        """Wait for its end. Raises what has ended it."""
        ...


class Cluster(Protocol):
    """Something that has shards extracted."""

    def submit(self, shard: Shard) -> Pending:
        """Hand a shard out, to be extracted at some time by some process."""
        ...


def extract_shard(
    root: Path,
    items: Sequence[Item],
    plan: ModalityPlan,
    shard: Shard,
    store_root: Path,
    options: ExtractOptions,
) -> ShardReport:
    """Extract a shard into its own store; what it holds already is not extracted again.

    Args:
        root: The dataset's folder.
        items: Of the plan, as `ModalityPlan.items_of` returns them.
        plan: What to extract.
        shard: Which of the items.
        store_root: Folder of the feature store, on a path that the merging process shares.
        options: How to run.

    Raises:
        MocmeError: If this process finds another dataset or feature space than the one that has
            handed out the shard.
    """
    space = plan.extractor.space(options.dtype)
    _require_same(shard, len(items), space.fingerprint)
    folder = shard_folder(store_root, shard.name)
    part = [items[position] for position in shard.positions]
    with (
        writing(store_root),
        owning(folder),
        FeatureStore.open(folder, space) as store,
        FileIndex.open_readonly(folder) as index,
    ):
        inventory = Inventory(root, part, plan.extractor.item_kind, store, index)
        pipeline = Pipeline(plan.name, plan.extractor, store, options, None)
        pipeline.run(inventory.scan(range(len(part))))
        failures = {digest: Failure(reason) for digest, reason in store.failures().items()}
    failures |= {digest: failure for digest, failure in pipeline.outcomes.items() if failure}
    return ShardReport({digest.hex(): failure for digest, failure in failures.items()})


def _require_same(shard: Shard, num_items: int, fingerprint: str) -> None:
    """Refuse to extract something else than was meant."""
    for what, found, allowed in (
        ("items", num_items, shard.num_items),
        ("feature space", fingerprint, shard.fingerprint),
    ):
        if found != allowed:
            raise MocmeError(
                f"modality '{shard.modality}', on a worker: found {what} {found}; allowed: "
                f"{allowed}, as where the run was started (has the dataset or a model changed, or "
                "is another version of mocme installed there?)"
            )
