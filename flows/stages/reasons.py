"""Why a stage must run: every reason, and as much of how each part differs as can be told."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from flows.configs.pipeline_config import PipelineConfig
from flows.stages.keys import StageKey, changes
from flows.stages.manifest import Manifest
from flows.stages.staged_run import StagedRun, finished_runs, runs_of_other_formats
from model.runs.run_graph import read_run_graph
from storage.datasets.graph import Graph
from storage.datasets.graph_changes import graph_changes
from storage.errors import MocmeError

NOTHING_TRAINED = "no training has finished here before"
TRAINING_IS_STALE = "the training is stale"

_GRAPH_CHANGED = "graph changed"
_CONTENT_CHANGED = re.compile(r"modalities\.([^.]+)\.content changed")
_OTHER_ITEMS = "other items than before, or another version of what extracts them"


@dataclass(frozen=True)
class TrainedFrom:
    """What a training is made from now, so that a reason can say how a part differs.

    Attributes:
        config: The config.
        graph: The dataset's graph.
        num_new: Of each modality, how many of its items are new to the store.
    """

    config: PipelineConfig
    graph: Graph
    num_new: Mapping[str, int]


def reasons_stale(
    folder: StagedRun, key: StageKey, made_from: TrainedFrom | None = None
) -> list[str]:
    """Return every reason why a stage must run; empty if what it left is still good.

    Args:
        folder: The run's folder.
        key: The stage's key now.
        made_from: For a training, what it is made from now.
    """
    manifest = folder.manifest(key.stage)
    if manifest is None:
        return _why_new(folder, key, made_from)
    changed = [*changes(manifest.parts, key.parts), *_code_changed(manifest, key)]
    return [*changed, *folder.lost_outputs(key.stage, manifest)]


def reasons_behind(config: PipelineConfig, key: StageKey) -> list[str]:
    """Return why predictions must be made anew behind a training that is stale.

    Args:
        config: The config.
        key: The training's key now.
    """
    nearest = _nearest(StagedRun.of(config.runs, key), key)
    before = None
    with suppress(MocmeError):
        before = nearest and nearest[0].manifest("predict")
    old = before.parts.get("predict", {}) if before else {}
    new = config.predict.model_dump(mode="json")
    return [TRAINING_IS_STALE, *(changes(old, new, "predict.") if old else ())]


def _why_new(folder: StagedRun, key: StageKey, made_from: TrainedFrom | None) -> list[str]:
    """Say why there is no manifest; a training is compared to the most similar finished one."""
    if folder.has_damaged_manifest(key.stage):
        return [f"stages/{key.stage}.json is damaged"]
    if key.stage != "train":
        return ["not done for this training before"]
    begun = folder.has_begun_training()
    reasons = ["an earlier training with this key did not finish"] if begun else []
    if (nearest := _nearest(folder, key)) is not None:
        return [*reasons, *_differences(*nearest, key, made_from)]
    if begun:
        return reasons
    others = runs_of_other_formats(folder.path.parent)
    return [NOTHING_TRAINED, *(f"{name} is of another version's format" for name in others)]


def _nearest(folder: StagedRun, key: StageKey) -> tuple[StagedRun, Manifest] | None:
    """Return the finished run beside a folder that differs from a key in the fewest parts."""
    runs = finished_runs(folder.path.parent)
    return min(runs, key=lambda run: len([*changes(run[1].parts, key.parts)]), default=None)


def _differences(
    run: StagedRun, manifest: Manifest, key: StageKey, made_from: TrainedFrom | None
) -> list[str]:
    """Return in what a training's key differs from a finished run, with how if that is known."""
    found = [*changes(manifest.parts, key.parts), *_code_changed(manifest, key)]
    if not found:  # somebody has renamed the folder of a run
        return [f"the run of this training is in a folder of another name, {run.path.name}"]
    return [*(found if made_from is None else (_detailed(it, run, made_from) for it in found))]


def _code_changed(manifest: Manifest, key: StageKey) -> Iterator[str]:
    """Yield that the same parts would give another result now, if so."""
    if StageKey(key.stage, manifest.parts).digest != manifest.key:
        before, now = manifest.versions.get("mocme", "unknown"), version("mocme")
        versions = "" if before == now else f" (mocme {before} -> {now})"
        yield f"the stage's code has changed{versions}"


def _detailed(change: str, run: StagedRun, made_from: TrainedFrom) -> str:
    """Add to a change, as `changes` names it, how the part differs from what a run was made from.

    Nothing is added where files of the run are gone or damaged.
    """
    details: list[str] = []
    with suppress(MocmeError):
        if change == _GRAPH_CHANGED:
            details = graph_changes(read_run_graph(run.path), made_from.graph)
        elif (found := _CONTENT_CHANGED.fullmatch(change)) is not None:
            details = _of_content(found[1], run.config(), made_from)
    return f"{change} ({'; '.join(details)})" if details else change


def _of_content(modality: str, before: PipelineConfig, made_from: TrainedFrom) -> list[str]:
    """Return how the content of a modality differs: options of its entry, and new items."""
    options = changes(_entry(before, modality), _entry(made_from.config, modality))
    num_new = made_from.num_new.get(modality, 0)
    new = [f"{num_new} new item{'s' * (num_new > 1)}"] if num_new else []
    return [*options, *new] or [_OTHER_ITEMS]


def _entry(config: PipelineConfig, modality: str) -> dict[str, Any]:
    """Return what determines a modality's vectors, as the config has it."""
    entry = config.modalities.get(modality)
    whole = {} if entry is None else entry.whole
    return {key: value for key, value in whole.items() if key != "max_items"}
