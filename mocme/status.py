"""What of a config is fresh, what is stale and why, and so what a run would do; nothing is done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from flows.configs.pipeline_config import PipelineConfig
from flows.inputs import read_inputs
from flows.stages.keys import Stage, StageKey, evaluate_key, predict_key, summarise, train_key
from flows.stages.run_record import RunRecord
from flows.stages.stage import NOTHING_TRAINED, why_fresh, why_stale
from flows.stages.staged_run import StagedRun, finished_runs
from mocme.dry_run import DryRun, dry_run


@dataclass(frozen=True)
class StageStatus:
    """Whether a stage would run.

    Attributes:
        state: `fresh`: it would be skipped; `stale`: it would run.
        reason: Which part of its key matches or has changed.
    """

    state: Literal["fresh", "stale"]
    reason: str


@dataclass(frozen=True)
class ConfigStatus:
    """What a run of a config would do.

    Attributes:
        modalities: What an extraction of each would find.
        stages: Of every stage, in the order in which they run.
        run_dir: Where the results would be; None if that depends on what is extracted first.
    """

    modalities: Mapping[str, DryRun]
    stages: Mapping[Stage, StageStatus]
    run_dir: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "extracted": {name: found.as_json() for name, found in self.modalities.items()},
            "stages": {stage: asdict(found) for stage, found in self.stages.items()},
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
    if len(stored) < len(digests):
        waiting = [name for name in modalities if digests[name] is None]
        stages |= {"train": _awaiting_features(config, waiting), **_after_training()}
        return ConfigStatus(modalities, stages, None)
    key = train_key(config, dataset.graph.digest, stored)
    folder = StagedRun.of(config.runs, key)
    stages["train"] = _status(folder, key)
    stages |= dict(_behind(folder, config)) if _is_fresh(stages["train"]) else _after_training()
    return ConfigStatus(modalities, stages, folder.path)


def _extract_status(modalities: Mapping[str, DryRun]) -> StageStatus:
    found = [
        f"{name}: {it.preview.num_contents} new contents{f' ({it.why})' if it.why else ''}"
        for name, it in modalities.items()
        if it.preview.num_contents
    ]
    return StageStatus("stale" if found else "fresh", "; ".join(found) or "everything is stored")


def _awaiting_features(config: PipelineConfig, modalities: Sequence[str]) -> StageStatus:
    """Say of a training whose key depends on what is extracted first why it is stale."""
    if not finished_runs(config.runs):
        return StageStatus("stale", NOTHING_TRAINED)
    changed = [f"modalities.{name}.content changed" for name in modalities]
    return StageStatus("stale", summarise(changed))


def _status(folder: StagedRun, key: StageKey) -> StageStatus:
    reason = why_stale(folder, key)
    return StageStatus("fresh", why_fresh(key)) if reason is None else StageStatus("stale", reason)


def _is_fresh(status: StageStatus) -> bool:
    return status.state == "fresh"


def _behind(folder: StagedRun, config: PipelineConfig) -> Iterator[tuple[Stage, StageStatus]]:
    trained = folder.trained
    yield "evaluate", _status(folder, evaluate_key(trained))
    yield "predict", _status(folder, predict_key(trained, config))


def _after_training() -> dict[Stage, StageStatus]:
    return {
        stage: StageStatus("stale", "the training is stale") for stage in ("evaluate", "predict")
    }
