"""What lies in a run's folder, and reading and writing it.

graph.json              ids and names        checkpoint.safetensors  to resume from
triples.safetensors     splits, negatives    model.safetensors       best weights
metrics.jsonl           one line an epoch    scoring.safetensors     best embeddings
training.json           written when done    tensorboard/            metrics.jsonl once more
selection/              a training before this one, if valid leaks: see `model.runs.selection`
final/                  the training whose model answers, if another: see `model.runs.final`

Every file of a finished training is compared with its checksum in training.json before it is read.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from safetensors.torch import load_file as load_tensors
from torch import Tensor

from model.runs.epoch_report import TENSORBOARD_FOLDER, EpochReport
from model.runs.run_files import (
    CHECKPOINT_FILE,
    FILES,
    FINAL_FOLDER,
    GRAPH_FILE,
    METRICS_FILE,
    SCORING_FILE,
    SELECTION_FOLDER,
    TRAIN_ANEW,
    TRAINING_FILE,
    TRIPLES_FILE,
    WEIGHTS_FILE,
    answering_folder,
    check_file,
    is_finished,
    read_summary,
    reading,
    summary_text,
)
from model.runs.run_graph import OPTIONAL_ARRAYS, read_run_graph
from model.runs.selection import SelectionResult
from model.scoring.blocks import BlockScoring
from storage.atomic import replacing, write_whole
from storage.datasets.graph import SPLITS, Graph
from storage.errors import MocmeError
from storage.files.file_errors import DamagedFileError, FileError, read_errors, write_errors
from storage.files.owned import delete_own_files, delete_unfinished

_logger = logging.getLogger(__name__)


class RunFolder:
    """Paths and contents of one run's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoint = root / CHECKPOINT_FILE
        self.weights = root / WEIGHTS_FILE
        self.scoring = root / SCORING_FILE
        self.tensorboard = root / TENSORBOARD_FOLDER
        self._graph = root / GRAPH_FILE
        self._triples = root / TRIPLES_FILE
        self._metrics = root / METRICS_FILE
        self._training = root / TRAINING_FILE

    @property
    def selection(self) -> "RunFolder":
        """The folder of the training whose model was selected, if there were two."""
        return RunFolder(self.root / SELECTION_FOLDER)

    @property
    def final(self) -> "RunFolder":
        """The folder of the training whose model answers, if that is another than this one's."""
        return RunFolder(self.root / FINAL_FOLDER)

    @property
    def answering(self) -> "RunFolder":
        """The folder whose model answers: that of the final training, if there was one.

        Raises:
            MocmeError: If what says so is damaged, cannot be read, or is another version's.
        """
        return RunFolder(answering_folder(self.root))

    @property
    def selected(self) -> "RunFolder":
        """The folder whose valid split the model was selected on: mostly this one."""
        return self.selection if self.selection.is_finished() else self

    def create(self, graph: Graph) -> None:
        """Make the folder and write the graph that the run learns from.

        What says that an earlier training is done goes first, as it does not speak of this one.

        Raises:
            MocmeError: If it cannot be written.
        """
        with write_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            delete_unfinished(self.root, FILES)
            delete_own_files(self.root, (TRAINING_FILE, SCORING_FILE))
        self._write_graph(graph)

    def restore_graph(self, graph: Graph) -> None:
        """Write the graph of a finished training anew if it is lost or damaged.

        Args:
            graph: What it was trained on; whether it is that, its checksums tell.

        Raises:
            MocmeError: If it cannot be written, or another version wrote the folder.
        """
        try:
            if read_summary(self.root) is None:
                return
        except DamagedFileError:
            return
        try:
            for path in (self._graph, self._triples):
                check_file(path)
        except (DamagedFileError, FileError):
            self._write_graph(graph)

    def _write_graph(self, graph: Graph) -> None:
        strings: dict[str, Any] = {
            "entities": graph.entities,
            "names": graph.names,
            "relations": graph.relations,
        }
        if graph.kinds:
            strings["kinds"] = graph.kinds
        if graph.split_by_hash:
            strings["split_by_hash"] = True
        arrays: dict[str, NDArray[Any]] = {split: graph.split(split) for split in SPLITS}
        for name in OPTIONAL_ARRAYS:
            if len(array := getattr(graph, name)):
                arrays[name] = array
        with write_errors(self._triples), replacing(self._triples) as temporary:
            save_file(arrays, temporary)
        with write_errors(self._graph):
            write_whole(self._graph, json.dumps(strings, ensure_ascii=False))

    def read_graph(self) -> Graph:
        """Read the graph back.

        Raises:
            MocmeError: If this is no run's folder.
        """
        self._require(self._graph, "the folder of a training run")
        return read_run_graph(self.root)

    def read_scoring(self, device: torch.device | str = "cpu") -> BlockScoring:
        """Read the trained model in the form that ranks and predicts.

        Raises:
            MocmeError: If the training has not finished.
        """
        self._require(self.scoring, "a run whose training has finished")
        with reading(self.scoring):
            return BlockScoring.load(self.scoring, device)

    def read_weights(self) -> dict[str, Tensor]:
        """Read the parameters and buffers of a trained model, by name.

        Raises:
            MocmeError: If they are not there, or damaged.
        """
        with reading(self.weights):
            return load_tensors(self.weights)

    def read_selection_result(self) -> SelectionResult:
        """Read what a finished training has decided for one that follows it.

        Raises:
            MocmeError: If it has not finished, or is damaged.
        """
        scoring, (epoch, mrr) = self.read_scoring(), self.read_best()
        return SelectionResult(epoch, mrr, scoring.block_weights, scoring.calibration)

    def read_best(self) -> tuple[int, float]:
        """Read the best epoch of a finished training, and its MRR on valid.

        Raises:
            MocmeError: If it has not finished, or is damaged.
        """
        with read_errors(self._training, TRAIN_ANEW):
            found = self._read_summary()
            return found["best_epoch"], found["best_valid_mrr"]

    def read_dtype(self) -> torch.dtype:
        """Read the precision that features had in a finished training.

        Raises:
            MocmeError: If it has not finished, or is damaged.
        """
        with read_errors(self._training, TRAIN_ANEW):
            found: torch.dtype = getattr(torch, self._read_summary()["dtype"])
            return found

    def log_epoch(self, report: EpochReport, extra: Mapping[str, float | None]) -> None:
        """Append an epoch to metrics.jsonl; epochs from a resumed checkpoint on are replaced."""
        kept = [epoch for epoch in self.read_log() if epoch["epoch"] < report.epoch]
        logged = asdict(report)
        del logged["num_epochs_after"]  # for whoever waits
        lines = [json.dumps(epoch) for epoch in (*kept, {**logged, **extra})]
        with write_errors(self._metrics):
            write_whole(self._metrics, "\n".join(lines) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl: what was logged of every epoch, in order.

        Nothing is answered from it, so a damaged one is as good as none.
        """
        if not self._metrics.exists():
            return []
        try:
            with reading(self._metrics):
                epochs = map(json.loads, self._metrics.read_text("utf-8").splitlines())
                return [{**epoch, "epoch": int(epoch["epoch"])} for epoch in epochs]
        except DamagedFileError as error:
            _logger.warning("%s; the log of the epochs is left out", error)
            return []

    def seconds_trained(self) -> float:
        """Seconds of all epochs of a run's trainings with their evaluations, before a stop, too."""
        folders = (self.selection, self, self.final)
        epochs = [epoch for folder in folders for epoch in folder.read_log()]
        return float(sum(epoch.get("seconds", 0.0) for epoch in epochs))

    def is_finished(self) -> bool:
        """Whether training is done and its model is still there, undamaged."""
        return is_finished(self.root)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Say that training is done; the checkpoint has served."""
        with write_errors(self._training):
            write_whole(self._training, summary_text(self.root, summary))
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        """Delete the checkpoint, if the end of training has not."""
        delete_own_files(self.root, (CHECKPOINT_FILE,))

    def _read_summary(self) -> dict[str, Any]:
        self._require(self._training, "a run whose training has finished")
        return read_summary(self.root) or {}

    def _require(self, path: Path, allowed: str) -> None:
        with read_errors(path, TRAIN_ANEW):
            try:
                path.stat()
            except (FileNotFoundError, NotADirectoryError):
                raise MocmeError(f"{self.root}: found no {path.name}; allowed: {allowed}") from None
