"""What of a config is fresh, what is stale and why, and so what a run would do; nothing is done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from flows.configs.pipeline_config import PipelineConfig
from flows.inputs import read_inputs
from flows.stages.keys import Stage, StageKey, evaluate_key, predict_key, train_key
from flows.stages.reasons import TRAINING_IS_STALE, TrainedFrom, reasons_behind, reasons_stale
from flows.stages.run_record import RunRecord
from flows.stages.stage import together, why_fresh
from flows.stages.staged_run import StagedRun
from mocme.dry_run import DryRun, dry_run
from model.config import FinalName
from model.runs.final import splits_learned
from storage.datasets.graph import Graph, Split

_AWAITED = "known after the extraction"
"""Stands in a key for the digest of contents that are yet to be extracted."""


@dataclass(frozen=True)
class StageStatus:
    """Whether a stage would run.

    Attributes:
        state: `fresh`: it would be skipped; `stale`: it would run.
        reason: Which part of its key matches, or all that has changed, as one text.
        reasons: The same, one by one.
    """

    state: Literal["fresh", "stale"]
    reason: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ConfigStatus:
    """What a run of a config would do.

    Attributes:
        modalities: What an extraction of each would find.
        stages: Of every stage, in the order in which they run.
        learned: The splits that each model of the run learns from: `selected`, which all metrics
            are of, and `final`, which answers, if that is another.
        run_dir: Where the results would be; None if that depends on what is extracted first.
    """

    modalities: Mapping[str, DryRun]
    stages: Mapping[Stage, StageStatus]
    learned: Mapping[str, tuple[Split, ...]]
    run_dir: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "extracted": {name: found.as_json() for name, found in self.modalities.items()},
            "stages": {stage: asdict(found) for stage, found in self.stages.items()},
            "models": {model: list(splits) for model, splits in self.learned.items()},
            "run_dir": None if self.run_dir is None else str(self.run_dir),
        }


def status_of(config: PipelineConfig) -> ConfigStatus:
    """Compare a config, its dataset, its store and its runs.

    The network is not asked for weights.

    Raises:
        MocmeError: If the dataset cannot be read, or the config does not fit it.
    """
    dataset = read_inputs(config, RunRecord())
    modalities = dry_run(config, dataset)
    digests = {name: found.preview.content_digest for name, found in sorted(modalities.items())}
    stored = {name: digest for name, digest in digests.items() if digest is not None}
    stages: dict[Stage, StageStatus] = {"extract": _extract_status(modalities)}
    is_waiting = len(stored) < len(digests)
    awaited = {name: stored.get(name, _AWAITED) for name in digests}
    key = train_key(config, dataset.graph.digest, awaited)
    folder = StagedRun.of(config.runs, key)
    num_new = {name: found.preview.counts.new for name, found in modalities.items()}
    made_from = TrainedFrom(config, dataset.graph, num_new)
    stages["train"] = _status(folder, key, made_from)
    is_fresh = stages["train"].state == "fresh"
    stages |= dict(_behind(folder, config) if is_fresh else _behind_stale(config, key))
    learned = _learned(dataset.graph, config.train.final)
    return ConfigStatus(modalities, stages, learned, None if is_waiting else folder.path)


def _learned(graph: Graph, final: FinalName) -> dict[str, tuple[Split, ...]]:
    """Return the splits that each model of a run learns from."""
    selected, answering = splits_learned(graph, "selected"), splits_learned(graph, final)
    found = {"selected": selected}
    return found if answering == selected else {**found, "final": answering}


def _stale(reasons: Sequence[str]) -> StageStatus:
    return StageStatus("stale", together(reasons), tuple(reasons))


def _fresh(reason: str) -> StageStatus:
    return StageStatus("fresh", reason, (reason,))


def _extract_status(modalities: Mapping[str, DryRun]) -> StageStatus:
    found = [
        f"{name}: {it.preview.num_contents} new contents{f' ({it.why})' if it.why else ''}"
        for name, it in modalities.items()
        if it.preview.num_contents
    ]
    return _stale(found) if found else _fresh("everything is stored")


def _status(folder: StagedRun, key: StageKey, made_from: TrainedFrom | None = None) -> StageStatus:
    reasons = reasons_stale(folder, key, made_from)
    return _stale(reasons) if reasons else _fresh(why_fresh(key))


def _behind(folder: StagedRun, config: PipelineConfig) -> Iterator[tuple[Stage, StageStatus]]:
    trained = folder.trained
    yield "evaluate", _status(folder, evaluate_key(trained))
    yield "predict", _status(folder, predict_key(trained, config))


def _behind_stale(config: PipelineConfig, key: StageKey) -> Iterator[tuple[Stage, StageStatus]]:
    yield "evaluate", _stale([TRAINING_IS_STALE])
    yield "predict", _stale(reasons_behind(config, key))
