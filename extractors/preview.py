"""What an extraction would do: counted from what is stored, without doing or writing anything."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from extractors.engine.inventory import Inventory, Known, NothingKnown
from extractors.loading import Failure
from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan, num_missing
from extractors.report import Counts, digest_of, failure_warning
from extractors.weights import WeightsNotHereError
from storage.datasets.dataset import Dataset
from storage.features.file_index import FileIndex
from storage.features.pages import DATA_FILE
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, space_folder


@dataclass(frozen=True)
class Preview:
    """What is stored for one modality, and what is not.

    Attributes:
        modality: Name of the modality.
        counts: Counts of references. `new` would be extracted; `failed` has failed before and
            would not be tried, or is a file that cannot be read.
        num_contents: Distinct contents that would be extracted.
        space: The feature space; None if its weights are not on this machine.
        references: Entity row and content digest of every item with a vector, in entity order.
        digests: Content digests of all items, whatever became of them.
        num_unreadable: Items that are files which cannot be read, and so have no digest.
        warning: What to say if almost every item has failed; None if not.
    """

    modality: str
    counts: Counts
    num_contents: int
    space: FeatureSpace | None
    references: tuple[tuple[int, bytes], ...]
    digests: frozenset[bytes]
    num_unreadable: int
    warning: str | None

    @property
    def content_digest(self) -> str | None:
        """What the extraction's would be; None if there is something to extract first."""
        if self.space is None or self.num_contents:
            return None
        return digest_of(self.space, self.references)


def preview_modality(
    dataset: Dataset, plan: ModalityPlan, store_root: Path, options: ExtractOptions
) -> Preview:
    """Look up what an extraction of one modality would find, and write nothing.

    Files are read only where the file index does not know them. No backbone is loaded.

    Args:
        dataset: Where the items are listed.
        plan: What would be extracted.
        store_root: Folder of the feature store; need not exist.
        options: How it would run.

    Raises:
        DatasetError: If the fields do not hold items of the extractor's kind.
        WeightsError: If the extractor's weights cannot be those of a run, either.
    """
    items = plan.items_of(dataset)
    space = _space_if_here(plan, options)
    kind, retry_failed = plan.extractor.item_kind, options.retry_failed
    with (
        _known(store_root, space) as known,
        FileIndex.open_readonly(store_root) as index,
    ):
        inventory = Inventory(dataset.root, items, kind, known, index, retry_failed=retry_failed)
        num_contents = sum(len(chunk.contents) for chunk in inventory.scan(range(len(items))))
        found = [inventory.settle(position, {}) for position in range(len(items))]
    states = [digest and inventory.states[digest] for digest in inventory.digests]
    counts = Counts(
        new=states.count("new"),
        cached=states.count("stored"),
        failed=states.count("failed") + states.count(None),
        missing=num_missing(dataset, items),
    )
    references = tuple(
        (item.entity, digest)
        for item, digest in zip(items, found, strict=True)
        if not isinstance(digest, Failure)
    )
    return Preview(
        modality=plan.name,
        counts=counts,
        num_contents=num_contents,
        space=space,
        references=references,
        digests=frozenset(inventory.states),
        num_unreadable=states.count(None),
        warning=failure_warning(plan.name, counts, _reasons(found, states)),
    )


def _reasons(found: Sequence[bytes | Failure], states: Sequence[object]) -> Iterator[str]:
    """Yield why items have failed; what is yet to be extracted has not."""
    for settled, state in zip(found, states, strict=True):
        if isinstance(settled, Failure) and state != "new":
            yield settled.reason


def _space_if_here(plan: ModalityPlan, options: ExtractOptions) -> FeatureSpace | None:
    """Return the feature space, or None if a run would have to download its weights first."""
    try:
        return plan.extractor.space(options.dtype)
    except WeightsNotHereError:
        if options.offline:
            raise
        return None


@contextmanager
def _known(store_root: Path, space: FeatureSpace | None) -> Iterator[Known]:
    """Yield what is known of contents: a store opened for reading, if there is one."""
    if space is None or not (space_folder(store_root, space) / DATA_FILE).is_file():
        yield NothingKnown()
        return
    with FeatureStore.open_readonly(space_folder(store_root, space)) as store:
        yield store
