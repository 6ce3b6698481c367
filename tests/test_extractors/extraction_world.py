"""A dataset folder of scripted files, a store beside it, and what tests ask of both."""

import json
from collections.abc import Callable
from pathlib import Path

import lmdb
from scripted_extractor import ScriptedConfig, ScriptedExtractor

from extractors.base import Extractor
from extractors.extraction import Extraction, ModalityPlan, Progress, extract_modality
from extractors.options import ExtractOptions
from storage.datasets.dataset import Dataset, read_dataset
from storage.features.store import FeatureStore

OPTIONS = ExtractOptions(batch_size=4, num_workers=1, timeout_seconds=20, max_failure_rate=1)


class World:
    """A dataset folder of scripted files, a store, and a log of what was loaded."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "dataset"
        self.store = folder / "store"
        self.log = folder / "loaded.log"
        self.root.mkdir()
        self.entities: list[dict[str, object]] = []

    def add(self, id: str, **fields: object) -> None:
        self.entities.append({"id": id, **fields})

    def add_script(self, id: str, script: str) -> None:
        """Add an entity with one scripted file of the same name."""
        (self.root / id).write_text(script)
        self.add(id, image=[id])

    def dataset(self) -> Dataset:
        lines = "".join(json.dumps(entity) + "\n" for entity in self.entities)
        (self.root / "entities.jsonl").write_text(lines)
        ids = [str(entity["id"]) for entity in self.entities]
        for split in ("train", "valid", "test"):
            (self.root / f"{split}.tsv").write_text(f"{ids[0]}\tis\t{ids[-1]}\n")
        return read_dataset(self.root)

    def extract(
        self,
        extractor: Extractor | None = None,
        options: ExtractOptions = OPTIONS,
        fields: tuple[str, ...] = ("image",),
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Extraction:
        extractor = extractor or ScriptedExtractor(ScriptedConfig(log=self.log))
        plan = ModalityPlan("look", extractor, fields)
        return extract_modality(self.dataset(), plan, self.store, options, on_progress)

    def loaded(self) -> list[str]:
        """Return the names of the files that were loaded since the last call, sorted."""
        if not self.log.exists():
            return []
        names = sorted(self.log.read_text().split())
        self.log.unlink()
        return names


def stored(extraction: Extraction) -> list[float]:
    """Return the first numbers of the vectors, in the order of the references."""
    with FeatureStore.open_readonly(extraction.store_directory) as store:
        return [float(row[0]) for row in store.read([d for _, d in extraction.references])]


def contents_of(directory: Path) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Read a store by plain LMDB calls: digest -> row, digest -> reason."""
    with (
        lmdb.open(str(directory), max_dbs=8, readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        failures = dict(transaction.cursor(environment.open_db(b"failures", transaction)))
        digests = list(dict(transaction.cursor(environment.open_db(b"index", transaction))))
    with FeatureStore.open_readonly(directory) as store:
        return {digest: store.read([digest]).tobytes() for digest in digests}, failures
