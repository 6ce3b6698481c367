"""What lies in a run's folder, and reading and writing it.

graph.json              ids and names        checkpoint.safetensors  to resume from
triples.safetensors     the three splits     model.safetensors       best weights
metrics.jsonl           one line an epoch    scoring.safetensors     best embeddings
training.json           written when done    selection/              the first training, if two
tensorboard/            metrics.jsonl once more
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.runs.epoch_report import TENSORBOARD_FOLDER, EpochReport
from model.runs.selection import Chosen
from model.scoring.blocks import BlockScoring
from storage.atomic import replacing
from storage.datasets.graph import SPLITS, Graph
from storage.errors import MocmeError

_UNFINISHED = (".*.part", ".tmp*")  # what a kill leaves of our writing, and of safetensors' own


@contextmanager
def telling_damage(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into a MocmeError that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise MocmeError(
            f"{path}: found a damaged file ({type(error).__name__}: {error}); allowed: the file "
            "as training wrote it; delete the folder to train anew"
        ) from error


class RunFolder:
    """Paths and contents of one run's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoint = root / "checkpoint.safetensors"
        self.weights = root / "model.safetensors"
        self.scoring = root / "scoring.safetensors"
        self.tensorboard = root / TENSORBOARD_FOLDER
        self._graph = root / "graph.json"
        self._triples = root / "triples.safetensors"
        self._metrics = root / "metrics.jsonl"
        self._training = root / "training.json"

    @property
    def selection(self) -> "RunFolder":
        """The folder of the training whose model was selected, if there were two."""
        return RunFolder(self.root / "selection")

    @property
    def selected(self) -> "RunFolder":
        """The folder whose valid split the model was selected on: mostly this one."""
        return self.selection if self.selection.is_finished() else self

    def create(self, graph: Graph) -> None:
        """Make the folder and write the graph that the run learns from."""
        self.root.mkdir(parents=True, exist_ok=True)
        for pattern in _UNFINISHED:
            for unfinished in self.root.glob(pattern):
                unfinished.unlink(missing_ok=True)
        strings = {"entities": graph.entities, "names": graph.names, "relations": graph.relations}
        with replacing(self._triples) as temporary:
            save_file({split: graph.split(split) for split in SPLITS}, temporary)
        self._write_json(self._graph, strings)

    def read_graph(self) -> Graph:
        """Read the graph back.

        Raises:
            MocmeError: If this is no run's folder.
        """
        if not self._graph.exists():
            raise MocmeError(
                f"{self.root}: found no {self._graph.name}; allowed: the folder of a training run"
            )
        with telling_damage(self._graph):
            strings = json.loads(self._graph.read_text(encoding="utf-8"))
            entities, names, relations = (
                tuple(strings[part]) for part in ("entities", "names", "relations")
            )
        with telling_damage(self._triples):
            triples = load_file(self._triples)
            return Graph(entities, names, relations, *(triples[split] for split in SPLITS))

    def read_scoring(self, device: torch.device | str = "cpu") -> BlockScoring:
        """Read the trained model in the form that ranks and predicts.

        Raises:
            MocmeError: If the training has not finished.
        """
        if not self.scoring.exists():
            raise MocmeError(
                f"{self.root}: found no {self.scoring.name}; allowed: a run whose training has "
                "finished"
            )
        with telling_damage(self.scoring):
            return BlockScoring.load(self.scoring, device)

    def read_chosen(self) -> Chosen:
        """Read what a finished training has decided for one that follows it.

        Raises:
            MocmeError: If it has not finished, or is damaged.
        """
        scoring = self.read_scoring()
        with telling_damage(self._training):
            found = json.loads(self._training.read_text(encoding="utf-8"))
            return Chosen(
                found["best_epoch"],
                found["best_valid_mrr"],
                scoring.block_weights,
                scoring.calibration,
            )

    def read_dtype(self) -> torch.dtype:
        """Read the precision that features had in a finished training.

        Raises:
            MocmeError: If it has not finished, or is damaged.
        """
        with telling_damage(self._training):
            found: torch.dtype = getattr(torch, json.loads(self._training.read_text())["dtype"])
            return found

    def log_epoch(self, report: EpochReport, extra: Mapping[str, float | None]) -> None:
        """Append an epoch to metrics.jsonl; epochs from a resumed checkpoint on are replaced."""
        kept = [epoch for epoch in self.read_log() if epoch["epoch"] < report.epoch]
        lines = [json.dumps(epoch) for epoch in (*kept, {**asdict(report), **extra})]
        with replacing(self._metrics) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def read_log(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl: what was logged of every epoch, in order."""
        if not self._metrics.exists():
            return []
        with telling_damage(self._metrics):
            return [json.loads(line) for line in self._metrics.read_text("utf-8").splitlines()]

    def seconds_trained(self) -> float:
        """Seconds of all epochs with their evaluations, those before a stop, too.

        Where the model was selected on another training, that one's are among them.
        """
        epochs = [*self.selection.read_log(), *self.read_log()]
        return float(sum(epoch.get("seconds", 0.0) for epoch in epochs))

    def is_finished(self) -> bool:
        """Whether training is done and its model is still there."""
        return self._training.exists() and self.scoring.exists()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Say that training is done; the checkpoint has served."""
        self._write_json(self._training, dict(summary))
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        """Delete the checkpoint, if the end of training has not."""
        self.checkpoint.unlink(missing_ok=True)

    def _write_json(self, path: Path, value: Any) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
