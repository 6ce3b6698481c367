"""A run's folder: what a training and the stages behind it leave, and what they were made from.

Layout of `RUNS/<first digits of the train key>/`:

- `config.yaml`: the whole config, paths relative to this folder; `mocme run` repeats the run.
- what the model writes: weights, graph, history (`tensorboard/` holds that once more).
- `evaluation.json`, `predictions.tsv`.
- `placed/`: the same run with entities that arrived after it; see `flows.placing`.
- `report.html` and `report/`, if `mocme report` was asked for them.
- `stages/<stage>.json`: a manifest for each finished stage: its key, the parts of the key, and
  the files that must still be there for the stage to be skipped.

`RUNS/newest` is a link to the run that was trained or found fresh last.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.configs.writing import write_config
from flows.configs.yaml_reader import ConfigError
from flows.stages.keys import PLACES, Stage, StageKey
from model.runs.epoch_report import TENSORBOARD_FOLDER
from storage.atomic import write_whole
from storage.errors import MocmeError

_logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
EVALUATION_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.tsv"
REPORT_FILE = "report.html"
REPORT_FOLDER = "report"
NEWEST = "newest"
PLACED_FOLDER = "placed"
"""Folder in a run's folder that answers as the run does, of entities that arrived later too."""

_NAME_LENGTH = 12  # hex digits: 2^48 keys, short enough to type
_NOT_FROM_TRAINING = {CONFIG_FILE, EVALUATION_FILE, PREDICTIONS_FILE, REPORT_FILE, ".lock"}
_FOLDERS_NOT_FROM_TRAINING = {"stages", TENSORBOARD_FOLDER, REPORT_FOLDER, PLACED_FOLDER}


class NoRunError(MocmeError):
    """A run that was asked for and is not there."""


@dataclass(frozen=True)
class Manifest:
    """What a finished stage was made from and what it left.

    Attributes:
        key: Digest of the stage's key.
        parts: Parts of the key.
        outputs: Size in bytes of each file it left, by path relative to the run's folder.
        seconds: How long it took.
        finished_at: When, in ISO 8601, UTC.
        versions: Versions of what it was made with.
    """

    key: str
    parts: Mapping[str, Any]
    outputs: Mapping[str, int]
    seconds: float
    finished_at: str
    versions: Mapping[str, str]


class StagedRun:
    """The folder of one run, as the stages see it.

    Args:
        path: The folder; made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, runs: Path, trained: StageKey) -> "StagedRun":
        """Return the folder that belongs to a training's key."""
        return cls(runs / trained.digest[:_NAME_LENGTH])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, so that two processes never run a stage of it at once."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            _logger.warning("waiting for another process that is at work in %s", self.path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def manifest(self, stage: Stage) -> Manifest | None:
        """Return the manifest of a finished stage, if there is one that can be read."""
        try:
            return Manifest(**json.loads(self._manifest_path(stage).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def trained(self) -> str:
        """Digest of the key of the training that has finished here.

        Raises:
            NoRunError: If none has.
        """
        manifest = self.manifest("train")
        if manifest is None:
            raise NoRunError(
                f"{self.path}: found no finished training; allowed: the folder of a run, such as "
                "data/runs/newest"
            )
        return manifest.key

    def missing_output(self, manifest: Manifest) -> str | None:
        """Name the first output that is gone or has another size than it was left with."""
        for name, size in manifest.outputs.items():
            path = self.path / name
            if not path.is_file():
                return f"{name} is gone"
            if path.stat().st_size != size:
                return f"{name} was changed"
        return None

    def record(self, key: StageKey, outputs: Sequence[Path], seconds: float) -> None:
        """Write the manifest of a stage that has just finished."""
        sizes = {
            path.relative_to(self.path).as_posix(): path.stat().st_size for path in sorted(outputs)
        }
        manifest = Manifest(
            key=key.digest,
            parts=key.parts,
            outputs=sizes,
            seconds=round(seconds, 3),
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            versions={package: version(package) for package in ("mocme", "numpy", "torch")},
        )
        path = self._manifest_path(key.stage)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, json.dumps(asdict(manifest), indent=1) + "\n")

    def forget(self, stage: Stage) -> None:
        """Drop what a finished stage left; with a training goes all that was made from it.

        What an unfinished training left stays, for it to go on from.
        """
        stages: tuple[Stage, ...] = ("predict", "evaluate", "train")
        for behind in stages if stage == "train" else (stage,):
            manifest = self.manifest(behind)
            for name in manifest.outputs if manifest else ():
                (self.path / name).unlink(missing_ok=True)
            self._manifest_path(behind).unlink(missing_ok=True)

    def training_outputs(self) -> list[Path]:
        """List the files that the training left and that are needed; TensorBoard's are not."""
        return [
            path
            for path in self.path.rglob("*")
            if path.is_file()
            and path.name not in _NOT_FROM_TRAINING
            and not _FOLDERS_NOT_FROM_TRAINING & set(path.relative_to(self.path).parts[:-1])
        ]

    def write_config(self, config: PipelineConfig) -> None:
        """Write the whole config, paths relative to this folder, as runs move with their data."""
        write_config(config, self.path / CONFIG_FILE)

    def config(self) -> PipelineConfig:
        """Read the config that the run was made with."""
        return load_config(self.path / CONFIG_FILE)

    def _manifest_path(self, stage: Stage) -> Path:
        return self.path / "stages" / f"{stage}.json"


def finished_runs(runs: Path) -> list[tuple[StagedRun, Manifest]]:
    """Return every run whose training has finished, the newest first."""
    if not runs.is_dir():
        return []
    folders = (StagedRun(path) for path in runs.iterdir() if path.name != NEWEST)
    finished = ((folder, folder.manifest("train")) for folder in folders)
    found = [(folder, manifest) for folder, manifest in finished if manifest is not None]
    return sorted(found, key=lambda run: run[1].finished_at, reverse=True)


def mark_newest(folder: StagedRun) -> None:
    """Point `RUNS/newest` at a run."""
    link = folder.path.parent / NEWEST
    temporary = link.with_name(f".{NEWEST}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.path.name)
    temporary.replace(link)


def newest_run(runs: Path) -> StagedRun:
    """Return the run that was trained or found fresh last.

    Raises:
        NoRunError: If no training has finished here.
    """
    newest = runs / NEWEST
    if newest.is_dir():
        return open_run(newest)
    finished = finished_runs(runs)
    if finished:
        return finished[0][0]
    raise NoRunError(
        f"{runs}: found no finished training; allowed: the runs folder of a config that "
        "`mocme run CONFIG` or `mocme train CONFIG` has run"
    )


def newest_run_of(config: PipelineConfig) -> StagedRun:
    """Return the newest run that was made with a config, its `predict` section aside.

    Raises:
        NoRunError: If there is none.
    """
    wanted = _what_a_run_is_made_from(config)
    for folder, _ in finished_runs(config.runs):
        with suppress(ConfigError):  # a run that another version of mocme made
            if _what_a_run_is_made_from(folder.config()) == wanted:
                return folder
    raise NoRunError(
        f"{config.runs}: found no finished training of this config; "
        "run `mocme train CONFIG` first, or name a run by --run DIR"
    )


def open_run(path: Path) -> StagedRun:
    """Return the run in a folder.

    Raises:
        NoRunError: If no training has finished there.
    """
    folder = StagedRun(path.resolve())
    _ = folder.trained
    return folder


def _what_a_run_is_made_from(config: PipelineConfig) -> dict[str, Any]:
    aside = dict.fromkeys(("store", "runs", "predict", "extract"), True)
    return config.model_dump(exclude={**aside, "train": set(PLACES)})
