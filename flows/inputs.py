"""What a run reads before any stage, and checks so that no hour is spent on a misspelt name.

A command does it before it starts Prefect (`check_inputs`); a flow that a worker runs, by itself.
"""

from pathlib import Path

from extractors.base import Runtime
from extractors.plan import ModalityPlan
from extractors.registry import build_extractor
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.stages.run_inputs import RunInputs
from flows.stages.run_record import RunRecord
from flows.stages.stage import since, start_clock
from flows.stages.staged_run import StagedRun, newest_run_of
from storage.datasets.dataset import Dataset, read_dataset
from storage.files.file_access import FileProblem, FilesBelow
from storage.words.suggestion import did_you_mean

_BEHIND_A_TRAINING = ("evaluate", "predict")
"""Flows that work in the newest run, and read no dataset."""

_MOST_ENTITIES_LISTED = 20_000
"""Up to these, items are listed once more than the extraction does (0.1 s): to check fields."""


def check_inputs(name: str, config: PipelineConfig, record: RunRecord) -> None:
    """Read and check what a flow needs, and leave it in the record for the flow.

    No weights are fetched, digested or loaded.

    Args:
        name: The flow.
        config: Its config.
        record: The record that the flow will fill.

    Raises:
        MocmeError: If the flow would fail for its input.
    """
    if name in _BEHIND_A_TRAINING:
        record.inputs = RunInputs(config, run=newest_run_of(config))
        return
    dataset = read_inputs(config, record)
    start = start_clock()
    plans = {modality: _checked_plan(config, modality, dataset) for modality in config.modalities}
    record.inputs = RunInputs(config, dataset, plans)
    record.reading_seconds += since(start)


def _checked_plan(config: PipelineConfig, modality: str, dataset: Dataset) -> ModalityPlan:
    plan = plan_modality(config, modality)
    plan.extractor.check()
    if len(dataset.entities) <= _MOST_ENTITIES_LISTED:
        plan.items_of(dataset)
    return plan


def run_to_work_in(config: PipelineConfig, record: RunRecord) -> StagedRun:
    """Return the newest run of a config.

    Raises:
        NoRunError: If there is none.
    """
    return record.inputs_for(config).run or newest_run_of(config)


def read_inputs(config: PipelineConfig, record: RunRecord) -> Dataset:
    """Read the dataset of a run, unless that was done before the flow.

    Raises:
        DatasetError: If it cannot be read as it is written.
        ConfigError: If the config asks for predictions of a relation that the graph does not have.
    """
    if (ready := record.inputs_for(config).dataset) is not None:
        return ready
    start = start_clock()
    dataset = read_dataset(config.dataset)
    record.reading_seconds = since(start)
    known = dataset.graph.relations
    for relation in () if config.predict.relations == "all" else config.predict.relations:
        if relation not in known:
            raise ConfigError(
                f"'predict.relations': found '{relation}'{did_you_mean(relation, known)}; "
                f"allowed: all, or some of {', '.join(known)}"
            )
    return dataset


def plan_modality(config: PipelineConfig, modality: str, *, offline: bool = False) -> ModalityPlan:
    """Return what a config says is to be extracted for one of its modalities.

    Args:
        config: The config.
        modality: Name of the entry.
        offline: Whether only this machine may be asked for weights, whatever the config says.

    Raises:
        ConfigError: If the config names a file of the dataset that must not be opened.
    """
    entry, options = config.modalities[modality], config.extract
    _refuse_files(config, modality)
    runtime = Runtime(options.device, offline or options.offline)
    extractor = build_extractor(entry.extractor, entry.options, runtime)
    return ModalityPlan(modality, extractor, config.fields_of(modality))


def _refuse_files(config: PipelineConfig, modality: str) -> None:
    """Refuse what must not be opened of the dataset's own files; others are the user's affair."""
    for key, value in config.modalities[modality].path_options.items():
        path = Path(value)
        if not path.is_relative_to(config.dataset) or path.is_dir():
            continue
        found = FilesBelow(config.dataset).signature(str(path.relative_to(config.dataset)))
        if isinstance(found, FileProblem):
            raise ConfigError(
                f"'modalities.{modality}.{key}': {path}: found {found.reason}; allowed: a regular "
                f"file inside {config.dataset}, or one outside of it under its own path"
            )
