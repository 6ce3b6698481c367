"""A run's folder: what a training and the stages behind it leave, and what they were made from.

Layout of `RUNS/<first digits of the train key>/`:

- `config.yaml`: the whole config, paths relative to this folder; `mocme run` repeats the run.
- what the model writes: weights, graph, history (`tensorboard/` holds that once more).
- `evaluation.json`, `predictions.tsv`.
- `placed/`: the same run with entities that arrived after it; see `mocme.placing`.
- `report.html` and `report/`, if `mocme report` was asked for them.
- `kept/`, also in `report/`: files that somebody had changed, or put where mocme writes.
- `stages/<stage>.json`: a manifest for each finished stage: its key, the parts of the key, and
  the files that must still be there for the stage to be skipped.

`RUNS/newest` is a link to the run that was trained or found fresh last.
"""

import json
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.configs.writing import write_config
from flows.stages.keys import PLACES, Stage, StageKey
from flows.stages.manifest import (
    EVALUATION_FILE,
    NEEDED_OF,
    OUTPUTS_OF,
    Manifest,
    read_manifest,
)
from model.runs.run_files import (
    TRAIN_ANEW,
    TRAINING_FILE,
    OtherFormatError,
    delete_training,
)
from storage.atomic import replace_link
from storage.errors import MocmeError
from storage.files.checksums import describe, is_as_described
from storage.files.file_errors import DamagedFileError, read_errors, write_errors
from storage.files.keeping import keep_foreign
from storage.files.owned import (
    ForeignFileError,
    check_own_file,
    check_own_folder,
    check_readable_file,
    delete_own_files,
    is_own_file,
    own_folder,
)

_logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
REPORT_FILE = "report.html"
REPORT_FOLDER = "report"
STAGES_FOLDER = "stages"
NEWEST = "newest"
PLACED_FOLDER = "placed"
"""Folder in a run's folder that answers as the run does, of entities that arrived later too."""

_LOCK_FILE = ".lock"
_NAME_LENGTH = 12  # hex digits: 2^48 keys, short enough to type


class NoRunError(MocmeError):
    """A run that was asked for and is not there."""


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
        """Hold the folder, so that two processes never run a stage of it at once.

        Raises:
            FileError: If the folder cannot be made or written to.
            ForeignFileError: If something of the user's is in the place of the lock or manifests.
        """
        path = self.path / _LOCK_FILE
        with write_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.check_place()
        lock = FileLock(path)
        with write_errors(path):
            if not _is_acquired_at_once(lock):
                _logger.warning("waiting for another process that is at work in %s", self.path)
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def check_place(self) -> None:
        """Refuse a folder in which something of the user's is where a stage writes.

        Raises:
            FileError: If it cannot be read.
            ForeignFileError: If there is such a thing.
        """
        with write_errors(self.path):
            check_own_file(self.path / _LOCK_FILE)
            check_own_folder(self.path / STAGES_FOLDER)

    def manifest(self, stage: Stage) -> Manifest | None:
        """Return the manifest of a finished stage; None if there is none, or it is damaged.

        Raises:
            OtherFormatError: If another version of mocme wrote it.
            FileError: If it cannot be read.
        """
        with suppress(DamagedFileError):
            return read_manifest(self._manifest_path(stage))
        return None

    def has_damaged_manifest(self, stage: Stage) -> bool:
        """Whether a stage has left a manifest that is damaged."""
        return self.manifest(stage) is None and self._manifest_path(stage).exists()

    @property
    def trained(self) -> str:
        """Digest of the key of the training that has finished here.

        Raises:
            NoRunError: If none has.
            MocmeError: If what says so is damaged, cannot be read, or is another version's.
        """
        manifest = read_manifest(self._manifest_path("train"))
        if manifest is None:
            raise NoRunError(
                f"{self.path}: found no finished training; allowed: the folder of a run, such as "
                "data/runs/newest"
            )
        return manifest.key

    def lost_outputs(self, stage: Stage, manifest: Manifest) -> Iterator[str]:
        """Name the files that a stage needs and that are gone, or not as they were left.

        Raises:
            FileError: If a file cannot be read.
        """
        for name in NEEDED_OF[stage]:
            path, described = self.path / name, manifest.outputs.get(name)
            with read_errors(path, TRAIN_ANEW):
                try:
                    if described is not None and not is_as_described(path, described):
                        yield f"{name} was changed"
                except (FileNotFoundError, NotADirectoryError):
                    yield f"{name} is gone"
                except ForeignFileError:
                    yield f"{name} is no plain file"

    def check_output(self, stage: Stage, name: str) -> None:
        """Compare a file with what its stage left, as far as a manifest tells that.

        Raises:
            DamagedFileError: If it has other bytes.
            FileError: If it is absent or cannot be read.
        """
        path, manifest = self.path / name, self.manifest(stage)
        with read_errors(path, f"`mocme {stage} CONFIG` makes it anew"):
            check_readable_file(path)
            described = manifest.outputs.get(name) if manifest else None
            if described is not None and not is_as_described(path, described):
                raise ValueError("its checksum does not match")

    def evaluation(self) -> Mapping[str, Any]:
        """Read what the evaluation found.

        Raises:
            DamagedFileError: If it is not as the evaluation left it.
            FileError: If it is absent or cannot be read.
        """
        self.check_output("evaluate", EVALUATION_FILE)
        path = self.path / EVALUATION_FILE
        with read_errors(path, "`mocme evaluate CONFIG` makes it anew"):
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise TypeError("no object")
            return found

    def record(self, key: StageKey, seconds: float) -> None:
        """Write the manifest of a stage that has just finished."""
        names = [name for name in OUTPUTS_OF[key.stage] if is_own_file(self.path, name)]
        with read_errors(self.path, TRAIN_ANEW):
            outputs = {name: describe(self.path / name) for name in names}
        manifest = Manifest(
            key=key.digest,
            parts=key.parts,
            outputs=outputs,
            seconds=round(seconds, 3),
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            versions={package: version(package) for package in ("mocme", "numpy", "torch")},
        )
        self._write_manifest(key.stage, manifest)

    def set_sequence(self, sequence: int) -> None:
        """Raise the number by which the run used last is told, if it is smaller."""
        with self.locked():
            manifest = self.manifest("train")
            if manifest is not None and manifest.sequence < sequence:
                self._write_manifest("train", replace(manifest, sequence=sequence))

    def forget(self, stage: Stage) -> None:
        """Drop what a finished stage left; with a training goes all that was made from it.

        The files of a training stay: the next one goes on from what is whole, and replaces the
        rest. So does what no stage makes, and what lies behind a link. An evaluation or predictions
        that somebody has changed are kept aside.
        """
        derived: tuple[Stage, ...] = ("predict", "evaluate")
        for behind in (*derived, stage) if stage == "train" else (stage,):
            manifest = self.manifest(behind)
            left = manifest.outputs if manifest else {}
            with write_errors(self.path):
                for name in OUTPUTS_OF[behind] if behind in derived else ():
                    keep_foreign(self.path / name, left.get(name))
                    delete_own_files(self.path, [name])
                delete_own_files(self.path, [f"{STAGES_FOLDER}/{behind}.json"])

    def discard_unfinished(self) -> None:
        """Delete what a training has left that will not go on; a finished one stays, whole."""
        if self._manifest_path("train").exists() or (self.path / TRAINING_FILE).exists():
            return
        with write_errors(self.path):
            delete_training(self.path)
            delete_own_files(self.path, (CONFIG_FILE, _LOCK_FILE))
            for folder in (self.path / STAGES_FOLDER, self.path):
                with suppress(OSError):  # something of the user's is in it
                    folder.rmdir()

    def has_begun_training(self) -> bool:
        """Whether a training has left anything here."""
        return any(is_own_file(self.path, name) for name in OUTPUTS_OF["train"])

    def write_config(self, config: PipelineConfig) -> None:
        """Write the whole config, paths relative to this folder, as runs move with their data."""
        path = self.path / CONFIG_FILE
        with write_errors(path):
            write_config(config, path)

    def config(self) -> PipelineConfig:
        """Read the config that the run was made with."""
        path = self.path / CONFIG_FILE
        with read_errors(path, "`mocme train CONFIG` writes it anew"):
            check_readable_file(path)
        return load_config(path)

    def _manifest_path(self, stage: Stage) -> Path:
        return self.path / STAGES_FOLDER / f"{stage}.json"

    def _write_manifest(self, stage: Stage, manifest: Manifest) -> None:
        path = self._manifest_path(stage)
        with write_errors(path):
            own_folder(path.parent)
        manifest.write(path)


def finished_runs(runs: Path) -> list[tuple[StagedRun, Manifest]]:
    """Return every run whose training has finished, the newest first.

    The newest is the one that was trained or found fresh last. That is counted, as clocks differ
    between machines; a clock decides only between runs of before they were counted.
    """
    with read_errors(runs, "`mocme train CONFIG` makes it"):
        if not runs.is_dir():
            return []
        folders = [StagedRun(path) for path in sorted(runs.iterdir()) if path.name != NEWEST]
    found = []
    for folder in folders:
        with suppress(MocmeError):  # of another version, or not to be read
            manifest = folder.manifest("train")
            found += [] if manifest is None else [(folder, manifest)]
    linked, now = _linked(runs), datetime.now(UTC).isoformat()
    return sorted(
        found,
        key=lambda run: (run[1].sequence, run[0].path.name == linked, min(run[1].finished_at, now)),
        reverse=True,
    )


def runs_of_other_formats(runs: Path) -> list[str]:
    """Return the names of the runs that another version of mocme has trained."""
    found = []
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        try:
            StagedRun(path).manifest("train")
        except OtherFormatError:
            found += [path.name] if path.name != NEWEST else []
        except MocmeError:
            continue
    return found


def mark_newest(folder: StagedRun) -> None:
    """Point `RUNS/newest` at a run; a file or folder of the user's of that name stays.

    Raises:
        FileError: If the system fails to write it.
    """
    folder.set_sequence(1 + _last_sequence(folder.path.parent, besides=folder.path.name))
    link = folder.path.parent / NEWEST
    if link.exists() and not link.is_symlink():
        _logger.warning("%s: found no link; it stays as it is", link)
        return
    replace_link(link, folder.path.name)


def newest_run(runs: Path) -> StagedRun:
    """Return the run that was trained or found fresh last.

    Raises:
        NoRunError: If no training has finished here.
        MocmeError: If the one that `RUNS/newest` names is damaged or another version's.
    """
    linked = _linked(runs)
    if linked is not None and (runs / linked / STAGES_FOLDER / "train.json").exists():
        return open_run(runs / linked)
    finished = finished_runs(runs)
    if finished:
        return StagedRun(finished[0][0].path.resolve())
    raise NoRunError(
        f"{runs}: found no finished training; allowed: the runs folder of a config that "
        "`mocme run CONFIG` or `mocme train CONFIG` has run"
    )


def newest_run_of(config: PipelineConfig) -> StagedRun:
    """Return the newest run that was made with a config, what only predictions depend on aside.

    Raises:
        NoRunError: If there is none.
    """
    wanted = _what_a_run_is_made_from(config)
    finished = finished_runs(config.runs)
    for folder, _ in finished:
        with suppress(MocmeError):  # a run that another version of mocme made
            if _what_a_run_is_made_from(folder.config()) == wanted:
                return folder
    raise NoRunError(
        f"{config.runs}: found no finished training of this config{' as it is' if finished else ''}"
        f"; run `mocme train CONFIG` first, or name a run by --run {_an_example(finished)}"
    )


def _an_example(finished: Sequence[tuple[StagedRun, Manifest]]) -> str:
    """Return the folder of the newest of some runs, as a shell takes it; `DIR` if there is none."""
    return shlex.quote(str(finished[0][0].path)) if finished else "DIR"


def open_run(path: Path) -> StagedRun:
    """Return the run in a folder.

    Raises:
        NoRunError: If no training has finished there.
    """
    folder = StagedRun(path.resolve())
    _ = folder.trained
    return folder


def _is_acquired_at_once(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _last_sequence(runs: Path, besides: str | None = None) -> int:
    """Return the largest number that a run of a folder has; two that end at once may share it."""
    numbers = [it.sequence for run, it in finished_runs(runs) if run.path.name != besides]
    return max(numbers, default=0)


def _linked(runs: Path) -> str | None:
    """Return the name of the folder in RUNS that `RUNS/newest` points at, if it does."""
    link = runs / NEWEST
    if not link.is_symlink() or not link.is_dir():
        return None
    target = link.resolve()
    return target.name if target.parent == runs.resolve() else None


def _what_a_run_is_made_from(config: PipelineConfig) -> dict[str, Any]:
    aside = dict.fromkeys(("store", "runs", "predict", "relation_types", "extract"), True)
    return config.model_dump(exclude={**aside, "train": set(PLACES)})
