"""Training: from a graph and its feature tables to a run folder that holds trained models."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from model.config import ModelConfig, TrainConfig
from model.layers.repeatable import repeatable
from model.probability.held_out import calibrate_final
from model.runs.epoch_report import EpochReport
from model.runs.final import final_graph
from model.runs.run_folder import RunFolder
from model.runs.selection import SelectionResult, graph_to_select_on
from model.training.distributed import Processes, join_processes, wanted_processes
from model.training.job import TrainingJob
from model.training.torchrun import train_by_torchrun
from model.training.trainer import Trainer
from storage.datasets.graph import Graph
from storage.features.table import FeatureTable
from storage.files.owned import check_own_folder


def train(
    graph: Graph,
    tables: Mapping[str, FeatureTable],
    model: ModelConfig,
    config: TrainConfig,
    run_dir: Path,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> None:
    """Train a run's models into its folder, going on where an earlier call was stopped.

    A folder whose training has finished is left as it is, but for a checkpoint left behind.
    Several processes (`config.processes`) are started here, and train as one does (see
    `model/training/distributed.py`); under torchrun, this process joins those that are there.

    Selection is on valid only: the weights kept are those of the best filtered MRR there. Where
    valid cannot be selected on, a training on another graph comes before: see
    `model.runs.selection`. Where another model is to answer than the one that is measured, a final
    training follows: see `model.runs.final`.

    Args:
        graph: The graph; only its training triples enter the loss of the model that is measured.
        tables: Feature table by modality, rows in the graph's entity order.
        model: What to train.
        config: How.
        run_dir: The folder; made if absent.
        on_epoch: Called after every epoch; under torchrun, in the first process only.

    Raises:
        MocmeError: If there is nothing to learn from, or a checkpoint is damaged.
        FloatingPointError: If the loss is no longer a number.
        ProcessesFailedError: If one of several processes died.
    """
    job, told = (
        TrainingJob(graph, tables, model, config, run_dir),
        on_epoch or (lambda report: None),
    )
    processes, wanted = join_processes(config.device), wanted_processes(config)
    trainings = _trainings(job)
    if processes.size == 1 < wanted and not all(it.folder.is_finished() for it in trainings):
        train_by_torchrun(job, wanted, told)
        return
    selected: SelectionResult | None = None
    for number, training in enumerate(trainings, 1):
        num_after = len(trainings) - number
        _train_one(job, training, selected, _telling(told, num_after), processes)
        selected = _decided(training, trainings[number], processes) if num_after else None


class _Training(NamedTuple):
    """One of a run's trainings: where it is done, and what it learns from."""

    folder: RunFolder
    graph: Graph


def _trainings(job: TrainingJob) -> list[_Training]:
    """Return the trainings of a job in their order; each goes by what the one before decided."""
    folder = RunFolder(job.run_dir)
    carved = graph_to_select_on(job.graph, job.config.select_on)
    final = final_graph(job.graph, job.config.final)
    before = [] if carved is None else [_Training(folder.selection, carved)]
    after = [] if final is None else [_Training(folder.final, final)]
    return [*before, _Training(folder, job.graph), *after]


def _decided(training: _Training, after: _Training, processes: Processes) -> SelectionResult:
    """Return what a finished training has decided for the one after it."""
    result = training.folder.read_selection_result()
    learns_test = len(after.graph.test) < len(training.graph.test)
    if not learns_test or not processes.is_first or after.folder.is_finished():
        return result
    scoring = training.folder.read_scoring(processes.device)
    return replace(result, calibration=calibrate_final(training.graph, scoring))


def _telling(
    on_epoch: Callable[[EpochReport], None], num_trainings_after: int
) -> Callable[[EpochReport], None]:
    """Return what adds to reports how many epochs the trainings that follow have at most."""
    return lambda report: on_epoch(
        replace(report, num_epochs_after=num_trainings_after * report.num_epochs)
    )


def _train_one(
    job: TrainingJob,
    training: _Training,
    selected: SelectionResult | None,
    on_epoch: Callable[[EpochReport], None],
    processes: Processes,
) -> None:
    """Do one training of a job, as one of some processes, unless it is finished."""
    folder, graph = training
    if processes.is_first:
        if folder.root != job.run_dir:
            check_own_folder(folder.root)
        folder.restore_graph(graph)
    if processes.from_first(folder.is_finished):
        if processes.is_first:
            folder.drop_checkpoint()
        return
    if processes.is_first:
        folder.create(graph)
    with repeatable():
        trainer = Trainer(graph, job.tables, job.model, job.config, folder, processes, selected)
        trainer.run(on_epoch)
