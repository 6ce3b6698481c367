"""New entities of a dataset, placed by a run that was trained without them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from extractors.preview import preview_modality
from flows.configs.pipeline_config import PipelineConfig
from flows.inputs import plan_modality, read_inputs
from flows.stages.keys import StageKey
from flows.stages.run_record import RunRecord
from flows.stages.staged_run import PLACED_FOLDER, StagedRun
from model.config import FinalName
from model.runs.final import splits_learned, with_train_of
from storage.datasets.dataset import Dataset
from storage.datasets.graph import SPLITS, Graph
from storage.errors import StoreError
from storage.features.store import FeatureStore, space_folder
from storage.features.table import FeatureTable
from storage.files.owned import check_own_folder

if TYPE_CHECKING:
    from model.prediction.placing import Arrivals


@dataclass(frozen=True)
class Placed:
    """What was placed.

    Attributes:
        folder: What to ask; None if there was nothing to place.
        num_new: Entities.
        num_facts: Triples that name them and are heard.
    """

    folder: Path | None
    num_new: int
    num_facts: int


def place_new(config: PipelineConfig, run: StagedRun) -> Placed:
    """Place the entities of a config's dataset that a run was trained without.

    Features are read as they are stored; nothing is extracted and nothing trained.

    Args:
        config: Says where the dataset and its features are; all else is as the run has it.
        run: The run.

    Raises:
        StoreError: If items of the dataset were not extracted yet.
        OtherFeaturesError: If the features are not those that the run was trained on.
    """
    from model.prediction.placing import arrivals, place  # imports torch
    from model.runs.run_folder import RunFolder

    started = time.perf_counter()
    places = {"dataset": config.dataset, "store": config.store}
    learned = run.config().model_copy(update=places)
    dataset = read_inputs(learned, RunRecord())
    answering = RunFolder(run.path).answering
    found = arrivals(answering.read_graph(), _with_facts(dataset.graph, learned.train.final))
    if found.num_new == 0:
        return Placed(None, 0, 0)
    tables = {name: _table(learned, dataset, name, found) for name in sorted(learned.modalities)}
    target = StagedRun(run.path / PLACED_FOLDER)
    check_own_folder(target.path)
    with target.locked():
        target.forget("train")
        place(answering.root, found, tables, learned.model, learned.train, target.path)
        parts = {"placed_by": run.trained, "graph": found.graph.digest}
        target.record(StageKey("train", parts), time.perf_counter() - started)
    target.write_config(learned)
    return Placed(target.path, found.num_new, len(found.facts))


def _with_facts(now: Graph, final: FinalName) -> Graph:
    """Return a dataset's graph whose train has all that may be used of an entity that arrived.

    That is whatever split a fact fell into, where mocme made the splits: nothing is measured by it.
    """
    return with_train_of(now, SPLITS if now.split_by_hash else splits_learned(now, final))


def _table(
    config: PipelineConfig, dataset: Dataset, modality: str, found: "Arrivals"
) -> FeatureTable:
    """Read a modality's stored features, in the order of the grown graph."""
    plan = plan_modality(config, modality, offline=True)
    preview = preview_modality(dataset, plan, config.store, config.extract)
    if preview.space is None or preview.num_contents:
        raise StoreError(
            f"{config.store}: found {preview.num_contents} contents of the modality '{modality}' "
            "that were not extracted yet; allowed: none; run `mocme extract CONFIG` first"
        )
    rows = {entity: row for row, entity in enumerate(found.graph.entities)}
    grown = np.array([rows[entity] for entity in dataset.graph.entities], dtype=np.int64)
    references = [(int(grown[entity]), digest) for entity, digest in preview.references]
    with FeatureStore.open_readonly(space_folder(config.store, preview.space)) as store:
        max_items = config.modalities[modality].max_items
        return FeatureTable.read(store, found.graph.num_entities, references, max_items)
