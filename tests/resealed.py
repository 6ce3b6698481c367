"""Runs whose files a test has changed on purpose, as if they had been left so."""

from dataclasses import replace
from pathlib import Path

from flows.stages.keys import Stage
from flows.stages.manifest import OUTPUTS_OF
from flows.stages.staged_run import StagedRun
from model.runs.run_files import read_summary
from model.runs.run_folder import RunFolder
from storage.files.checksums import describe

_STAGES: tuple[Stage, ...] = ("train", "evaluate", "predict")


def reseal(run_dir: Path) -> None:
    """Write the checksums of a run's files as they are now."""
    summary = read_summary(run_dir) or {}
    found = {"best_epoch", "best_valid_mrr", "dtype"}
    RunFolder(run_dir).finish({name: summary[name] for name in found})
    folder = StagedRun(run_dir)
    for stage in _STAGES:
        manifest = folder.manifest(stage)
        if manifest is not None:
            left = [name for name in OUTPUTS_OF[stage] if (run_dir / name).is_file()]
            outputs = {name: describe(run_dir / name) for name in left}
            replace(manifest, outputs=outputs).write(run_dir / f"stages/{stage}.json")
