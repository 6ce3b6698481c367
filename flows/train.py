"""The `train` flow: bring the features up to date, then train unless nothing has changed."""

from collections.abc import Mapping
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from extractors.report import Extraction
from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.extract import EXTRACTION_RUNNER, extract_features
from flows.inputs import read_inputs
from flows.server.artifacts import publish_stages
from flows.server.progress import StageProgress
from flows.server.states import as_state, failure_recorded
from flows.stages.keys import StageKey, train_key
from flows.stages.reasons import TrainedFrom
from flows.stages.run_record import RunRecord, take_record
from flows.stages.stage import run_stage
from flows.stages.staged_run import StagedRun, mark_newest
from storage.datasets.dataset import Dataset
from storage.errors import MocmeError
from storage.features.store import FeatureStore
from storage.features.table import FeatureTable


class Training:
    """What a training task is given.

    No dataclass, and no tuple of parts: Prefect walks through those item by item, which takes 4 s
    for 200,000 items.
    """

    def __init__(
        self, config: PipelineConfig, dataset: Dataset, extractions: Mapping[str, Extraction]
    ) -> None:
        self.config = config
        self.graph = dataset.graph
        self.extractions = dict(sorted(extractions.items()))

    @property
    def key(self) -> StageKey:
        """Everything that determines the trained model."""
        digests = {name: found.content_digest for name, found in self.extractions.items()}
        return train_key(self.config, self.graph.digest, digests)

    @property
    def made_from(self) -> TrainedFrom:
        """What the reasons of the stage are told with."""
        num_new = {name: found.counts.new for name, found in self.extractions.items()}
        return TrainedFrom(self.config, self.graph, num_new)

    def run(self, folder: StagedRun) -> None:
        """Train into a run's folder.

        Raises:
            MocmeError: If torchrun has started this flow several times; each would wait for the
                others in the same folder.
        """
        from model.training.distributed import num_started  # imports torch
        from model.training.train import train

        if num_started() > 1:
            raise MocmeError(
                f"found {num_started()} of this command under torchrun; allowed: one, which starts "
                "torchrun itself (train.processes)"
            )
        tables = {name: self._table(found) for name, found in self.extractions.items()}
        with StageProgress() as progress:
            train(
                self.graph,
                tables,
                self.config.model,
                self.config.train,
                folder.path,
                progress.of_epochs(),
            )
            progress.epochs_done()

    def _table(self, extraction: Extraction) -> FeatureTable:
        max_items = self.config.modalities[extraction.modality].max_items
        with FeatureStore.open_readonly(extraction.store_directory) as store:
            return FeatureTable.read(
                store, self.graph.num_entities, extraction.references, max_items
            )


@task(name="train", cache_policy=NO_CACHE)
def train_task(training: Training, folder: StagedRun) -> Any:
    """Train unless the run's folder holds what this training would yield."""
    work, made_from = (lambda: training.run(folder)), training.made_from
    outcome = run_stage(folder, training.key, work, made_from)
    return as_state("train", outcome, outcome)


def train_model(
    config: PipelineConfig,
    dataset: Dataset,
    extractions: Mapping[str, Extraction],
    record: RunRecord,
) -> StagedRun:
    """Bring the training up to date and return the run's folder."""
    training = Training(config, dataset, extractions)
    folder = StagedRun.of(config.runs, training.key)
    record.run_dir = folder.path
    with failure_recorded(record, "train"):
        state: State[Any] = train_task(training, folder, return_state=True)
        record.stages["train"] = state.result()
    folder.write_config(config)
    mark_newest(folder)
    return folder


@flow(name="train", task_runner=EXTRACTION_RUNNER)
def train(
    config: PipelineConfig | str, new_features: dict[str, int] | None = None
) -> dict[str, Any]:
    """Bring features and model up to date.

    Args:
        config: The whole config, or the path of a YAML file that holds it.
        new_features: How many each modality has, where their arrival started this run; it is told
            in the log, and decides nothing: what must run follows from the stages' keys.
    """
    settings, record = load_config(config), take_record()
    for modality, count in (new_features or {}).items():
        get_run_logger().info("started by new features of %s: %d", modality, count)
    dataset = read_inputs(settings, record)
    try:
        extractions = extract_features(settings, dataset, record)
        train_model(settings, dataset, extractions, record)
    finally:
        publish_stages(record)
    return record.as_json()
