"""What a report is made of: everything read of a run before anything is drawn.

Shapes: R relations, S blocks that are scored side by side, E entities, A modalities of the fused
content.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.failure_report import FAILURES_FILE
from flows.inputs import plan_modality
from flows.stages.manifest import EVALUATION_FILE, PREDICTIONS_FILE, Manifest
from flows.stages.predictions import Prediction, read_predictions
from flows.stages.run_source import Source, find_source
from flows.stages.staged_run import CONFIG_FILE, StagedRun
from mocme.reliability import Reliability, read_reliability
from model.runs.final import splits_learned
from storage.datasets.graph import Graph, Split
from storage.datasets.relation_types.relation_type import RelationType
from storage.datasets.relation_types.stated import relation_types
from storage.errors import MocmeError
from storage.files.owned import check_readable_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.runs.measured import Complementarity
    from model.scoring.blocks import BlockScoring

_TRIPLES_OF_A_RELATION = 8  # whose scores are divided among the blocks


class ReportError(MocmeError):
    """A run that no report can be made of, or a place that none can be written to."""


@dataclass(frozen=True)
class ModalityCoverage:
    """Entities by what the feature store has of one modality for them.

    Attributes:
        modality: Its name.
        num_with: They have a vector.
        num_failed: They list items, but none has a vector.
        num_without: They list no item.
        warning: What to say if almost every item failed; None if not.
    """

    modality: str
    num_with: int
    num_failed: int
    num_without: int
    warning: str | None = None


@dataclass(frozen=True)
class Voices:
    """Who speaks for what in a trained model's scores.

    Attributes:
        blocks: Names of the blocks.
        block_shares: Mean share of each in the scores of a relation's triples of test; NaN for
            relations that have none. Shape: (R, S).
        modalities: Names of the content's modalities.
        modality_weights: Fusion weight of each in every entity's content. Shape: (E, A).
    """

    blocks: tuple[str, ...]
    block_shares: "NDArray[np.float32]"
    modalities: tuple[str, ...]
    modality_weights: "NDArray[np.float32]"


@dataclass(frozen=True)
class RunData:
    """All that a report tells of.

    Attributes:
        path: The run's folder.
        trained: Manifest of its training.
        graph: What its selected model learned from, as everything here but the predictions is of
            that model.
        epochs: What was logged of each epoch.
        seconds: Of all epochs, those of the run's other trainings, too.
        evaluation: What the evaluation found.
        predictions: The predicted triples; None if none were made.
        voices: Shares of blocks and modalities.
        complementarity: What was measured of the modalities; None if they are not fused.
        source: Config and dataset.
        coverage: Of each modality; None if dataset or store are gone.
        failures: Number of failed items by modality and reason, the commonest first.
        relation_types: What each relation is like, as the config states it, else as learned.
        reliability: What the probabilities of its predictions rest on.
    """

    path: Path
    trained: Manifest
    graph: Graph
    epochs: list[dict[str, Any]]
    seconds: float
    evaluation: Mapping[str, Any]
    predictions: list[Prediction] | None
    voices: Voices
    complementarity: "Complementarity | None"
    source: Source
    coverage: list[ModalityCoverage] | None
    failures: Mapping[tuple[str, str], int]
    relation_types: tuple[RelationType, ...]
    reliability: Reliability

    @property
    def name(self) -> str:
        """What the graph is called: its dataset's folder, or else the run's."""
        dataset = self.source.dataset
        return (dataset.root.name if dataset is not None else "") or self.path.name

    @property
    def learned_for_answers(self) -> tuple[Split, ...]:
        """The splits that the model has learned which the predictions are of."""
        return splits_learned(self.graph, self.trained.parts["train"].get("final", "selected"))

    @property
    def has_dataset_changed(self) -> bool:
        """Whether the graph that is read now is another than the one that was trained on."""
        dataset = self.source.dataset
        return dataset is not None and dataset.graph.digest != self.trained.parts["graph"]

    @property
    def config_text(self) -> str:
        """The config as it lies in the run's folder; empty if it is gone."""
        path = self.path / CONFIG_FILE
        try:
            check_readable_file(path)
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError, MocmeError):
            return ""


def read_run(folder: StagedRun) -> RunData:
    """Read a run that was trained and evaluated.

    Raises:
        ReportError: If it was not evaluated.
        MocmeError: If what the training left is damaged.
    """
    from model.runs.measured import read_complementarity  # imports torch
    from model.runs.run_folder import RunFolder

    source = find_source(folder)
    run = RunFolder(folder.path)
    graph = run.read_graph()
    voices = _hear(run.read_scoring(), graph)
    return RunData(
        path=folder.path,
        trained=_read_manifest(folder),
        graph=graph,
        epochs=run.read_log(),
        seconds=run.seconds_trained(),
        evaluation=_read_evaluation(folder),
        predictions=_read_predictions(folder),
        voices=voices,
        complementarity=read_complementarity(folder.path, voices.modalities),
        source=source,
        coverage=_count_coverage(source),
        failures=_count_failures(folder.path.parent / FAILURES_FILE, voices.modalities, graph),
        relation_types=relation_types(graph, source.config.relation_types if source.config else {}),
        reliability=read_reliability(folder),
    )


def _hear(scoring: "BlockScoring", graph: Graph) -> Voices:
    from model.prediction.evidence import shares_by_relation

    return Voices(
        tuple(block.name for block in scoring.blocks),
        shares_by_relation(scoring, graph.test, _TRIPLES_OF_A_RELATION).numpy(),
        scoring.modalities,
        scoring.modality_weights.numpy(),
    )


def _read_manifest(folder: StagedRun) -> Manifest:
    found = folder.manifest("train")
    if found is None:
        raise ReportError(f"{folder.path}: found no finished training; allowed: a run's folder")
    return found


def _read_evaluation(folder: StagedRun) -> Mapping[str, Any]:
    if not (folder.path / EVALUATION_FILE).exists():
        raise ReportError(
            f"{folder.path}: found no {EVALUATION_FILE}; allowed: a run that was evaluated, as by "
            "`mocme run CONFIG` or `mocme evaluate CONFIG`"
        )
    return folder.evaluation()


def _read_predictions(folder: StagedRun) -> list[Prediction] | None:
    path = folder.path / PREDICTIONS_FILE
    if not path.exists():
        return None
    folder.check_output("predict", PREDICTIONS_FILE)
    return read_predictions(path)


def _count_coverage(source: Source) -> list[ModalityCoverage] | None:
    """Look up what is stored now; nothing is read but what `mocme status` reads."""
    from extractors.preview import preview_modality

    config, dataset = source.config, source.dataset
    if config is None or dataset is None:
        return None
    found = []
    try:
        for name in config.modalities:
            plan = plan_modality(config, name, offline=True)
            preview = preview_modality(dataset, plan, config.store, config.extract)
            num_with = len({row for row, _ in preview.references})
            num_without = preview.counts.missing
            num_failed = len(dataset.entities) - num_with - num_without
            counts = (num_with, num_failed, num_without)
            found.append(ModalityCoverage(name, *counts, preview.warning))
    except (MocmeError, OSError):
        return None
    return found


def _count_failures(
    path: Path, modalities: tuple[str, ...], graph: Graph
) -> Mapping[tuple[str, str], int]:
    """Count the failed items of the last extraction that are this run's."""
    known, counts = set(graph.entities), Counter[tuple[str, str]]()
    try:
        check_readable_file(path)
        lines = path.read_text(encoding="utf-8").splitlines()
        for failure in map(json.loads, lines):
            if failure["modality"] in modalities and failure["entity"] in known:
                counts[failure["modality"], failure["reason"]] += 1
    except (OSError, ValueError, KeyError, TypeError, MocmeError):
        return {}
    return dict(sorted(counts.items(), key=lambda it: (-it[1], it[0])))
