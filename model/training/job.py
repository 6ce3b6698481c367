"""A training as a folder, for other processes to do: its graph, features, config and place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from model.config import ModelConfig, TrainConfig
from model.runs.run_folder import RunFolder
from storage.datasets.graph import Graph
from storage.features.table import FeatureTable

_JOB_FILE = "job.json"


@dataclass(frozen=True)
class TrainingJob:
    """The arguments of `model.training.train`, but for the callback.

    Attributes:
        graph: The graph.
        tables: Feature table by modality.
        model: What to train.
        config: How.
        run_dir: The run's folder.
    """

    graph: Graph
    tables: Mapping[str, FeatureTable]
    model: ModelConfig
    config: TrainConfig
    run_dir: Path

    def write(self, folder: Path) -> None:
        """Write the job to a folder that is there.

        Tables lie as plain arrays, which all readers on a machine map into one memory.
        """
        RunFolder(folder).create(self.graph)
        for number, table in enumerate(self.tables.values()):
            np.save(folder / f"{number}-values.npy", table.values, allow_pickle=False)
            np.save(folder / f"{number}-mask.npy", table.mask, allow_pickle=False)
        described = {
            "layouts": {name: table.layout for name, table in self.tables.items()},
            "model": self.model.model_dump(mode="json"),
            "train": self.config.model_dump(mode="json"),
            "run_dir": str(self.run_dir.absolute()),
        }
        (folder / _JOB_FILE).write_text(json.dumps(described), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote."""
        described = json.loads((folder / _JOB_FILE).read_text(encoding="utf-8"))
        tables = {
            name: FeatureTable(
                np.load(folder / f"{number}-values.npy", mmap_mode="r"),
                np.load(folder / f"{number}-mask.npy"),
                layout,
            )
            for number, (name, layout) in enumerate(described["layouts"].items())
        }
        return cls(
            RunFolder(folder).read_graph(),
            tables,
            ModelConfig.model_validate(described["model"]),
            TrainConfig.model_validate(described["train"]),
            Path(described["run_dir"]),
        )
