"""Training: from a graph and its feature tables to a run folder that holds a trained model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from model.config import ModelConfig, TrainConfig
from model.layers.repeatable import repeatable
from model.runs.epoch_report import EpochReport
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
    """Train a model into a run folder, going on where an earlier call was stopped.

    A folder whose training has finished is left as it is, but for a checkpoint left behind.
    Several processes (`config.processes`) are started here, and train as one does (see
    `model/training/distributed.py`); under torchrun, this process joins those that are there.

    Selection is on valid only: the weights kept are those of the best filtered MRR there. Where
    valid cannot be selected on, there are two trainings: see `model.runs.selection`.

    Args:
        graph: The graph; only its training triples enter the loss.
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
    if processes.size == 1 < wanted and not RunFolder(run_dir).is_finished():
        train_by_torchrun(job, wanted, told)
    else:
        _train(job, told, processes)


def _train(job: TrainingJob, on_epoch: Callable[[EpochReport], None], processes: Processes) -> None:
    """Do a job as one of some processes."""
    folder = RunFolder(job.run_dir)
    selected = _select(job, on_epoch, processes)
    if processes.is_first:
        folder.restore_graph(job.graph)
    if processes.from_first(folder.is_finished):
        if processes.is_first:
            folder.drop_checkpoint()
        return
    if processes.is_first:
        folder.create(job.graph)
    with repeatable():
        trainer = Trainer(job.graph, job.tables, job.model, job.config, folder, processes, selected)
        trainer.run(on_epoch)


def _select(
    job: TrainingJob, on_epoch: Callable[[EpochReport], None], processes: Processes
) -> SelectionResult | None:
    """Return what a training before this one decides, where one is needed."""
    carved = graph_to_select_on(job.graph, job.config.select_on)
    if carved is None:
        return None
    folder = RunFolder(job.run_dir).selection
    if processes.is_first:
        check_own_folder(folder.root)
    once = job.config.model_copy(update={"select_on": "valid"})
    _train(replace(job, graph=carved, config=once, run_dir=folder.root), on_epoch, processes)
    return folder.read_selection_result()
