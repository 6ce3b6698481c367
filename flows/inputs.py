"""What a run reads before any stage, and checks so that no hour is spent on a misspelt name.

A command does it before it starts Prefect (`check_inputs`); a flow that a worker runs, by itself.
"""

from importlib.util import find_spec
from pathlib import Path

from extractors.base import Runtime
from extractors.plan import ModalityPlan
from extractors.registry import build_extractor
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.stages.keys import evaluate_key, predict_key
from flows.stages.run_inputs import RunInputs
from flows.stages.run_record import RunRecord
from flows.stages.stage import since, start_clock, why_stale
from flows.stages.staged_run import StagedRun, finished_runs, newest_run_of
from model.prediction.names import some_relations
from model.runs.run_files import answering_folder, check_answering_files
from model.runs.run_graph import read_run_graph
from storage.datasets.dataset import Dataset, read_dataset
from storage.datasets.graph import Graph
from storage.datasets.relation_types.statement import check_statements
from storage.files.file_access import FileProblem, FilesBelow
from storage.files.places import check_place
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted

_BEHIND_A_TRAINING = ("evaluate", "predict")
"""Flows that work in the newest run, and read no dataset."""

_DEVICES_OF_ALL_MACHINES = ("auto", "cpu")

_MOST_ENTITIES_LISTED = 20_000
"""Up to these, items are listed once more than the extraction does (0.1 s): to check what fields
hold. Of more entities, only that the fields are there is checked."""


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
        run = newest_run_of(config)
        _check_run(name, run, config)
        record.inputs = RunInputs(config, run=run)
        return
    dataset = read_inputs(config, record)
    start = start_clock()
    plans = {modality: _checked_plan(config, modality, dataset) for modality in config.modalities}
    record.inputs = RunInputs(config, dataset, plans)
    record.reading_seconds += since(start)


def check_machine(name: str, config: PipelineConfig) -> None:
    """Check what a flow needs of this machine: task runner, places to write to, device.

    Nothing is made. A store that can only be read may hold all that is needed.

    Args:
        name: The flow.
        config: Its config.

    Raises:
        MocmeError: If the task runner is not installed, runs or features could not be written, or
            there is no such device for the first training.
    """
    if name in _BEHIND_A_TRAINING:
        return
    check_task_runner(config)
    if config.modalities:
        check_place("store", config.store, may_be_read_only=True)
    if name != "extract":
        check_place("runs", config.runs)
        _check_device(config)


def _check_device(config: PipelineConfig) -> None:
    """Refuse a device that is not here, where a training is sure to need it.

    Behind another training there may be none to do, and torch takes seconds to import.
    """
    name = config.train.device
    if name not in _DEVICES_OF_ALL_MACHINES and not finished_runs(config.runs):
        from model.device import choose_device  # imports torch

        choose_device(name)


def _check_run(name: str, run: StagedRun, config: PipelineConfig) -> None:
    """Refuse a run in which a stage could not do its work, unless there is none to do."""
    run.check_place()
    is_predicting = name == "predict"
    key = predict_key(run.trained, config) if is_predicting else evaluate_key(run.trained)
    if why_stale(run, key) is None:
        return
    check_answering_files(answering_folder(run.path) if is_predicting else run.path)
    if is_predicting:
        _check_what_is_named(config, read_run_graph(run.path))


def check_task_runner(config: PipelineConfig) -> None:
    """Refuse a task runner that is not installed.

    Raises:
        ConfigError: If the config names such a one.
    """
    name = config.extract.task_runner
    if name != "threads" and find_spec(f"prefect_{name}") is None:
        raise ConfigError(
            f"'extract.task_runner': found '{name}' and no prefect-{name}; "
            f"allowed: pip install 'mocme[{name}]', or threads"
        )


def _checked_plan(config: PipelineConfig, modality: str, dataset: Dataset) -> ModalityPlan:
    plan = plan_modality(config, modality)
    plan.extractor.check()
    if len(dataset.entities) <= _MOST_ENTITIES_LISTED:
        plan.items_of(dataset)
    else:
        dataset.check_fields(plan.fields, plan.extractor.item_kind)
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
        RelationTypeError: If it states something of a relation or a kind that is not there.
    """
    if (ready := record.inputs_for(config).dataset) is not None:
        return ready
    start = start_clock()
    dataset = read_dataset(config.dataset, config.split_salt)
    record.reading_seconds = since(start)
    _check_what_is_named(config, dataset.graph)
    return dataset


def _check_what_is_named(config: PipelineConfig, graph: Graph) -> None:
    """Refuse to predict relations that the graph does not have, and statements about them."""
    check_statements(graph, config.relation_types)
    known, wanted = graph.relations, config.predict.relations
    for relation in () if wanted == "all" else wanted:
        if relation not in known:
            raise ConfigError(
                f"'predict.relations': found {quoted(relation)}{did_you_mean(relation, known)}; "
                f"allowed: all, or some of {some_relations(graph)}"
            )


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
