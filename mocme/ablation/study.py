"""Trains the variants of a study, skips what is done, and ranks the answers of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.configs.changes import with_values
from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.configs.writing import write_config
from flows.stages.staged_run import StagedRun
from mocme.ablation.variants import FULL, Variants
from mocme.status import status_of
from mocme.study_progress import StudyProgress
from mocme.training_pool import FINAL_OF_STUDIES, TrainingPool
from storage.datasets.audit import clean_test_mask
from storage.datasets.dataset import read_dataset
from storage.errors import MocmeError
from storage.files.file_errors import write_errors
from storage.files.owned import check_started
from storage.words.suggestion import did_you_mean

Job = tuple[str, int]
"""A variant's name and a seed."""


@dataclass(frozen=True)
class VariantRuns:
    """The trained runs of a variant, one for each seed.

    Attributes:
        name: The variant's name.
        config_file: Its config.
        seconds: Seconds that the epochs of each training took. Shape: (S,).
        valid: Reciprocal ranks on valid, tails first, then heads. Shape: (S, Q).
        test: Those on the clean test split. Shape: (S, Q).
        is_unseen: Which of the test questions are of triples with an entity unseen in training.
            Shape: (Q,).
    """

    name: str
    config_file: Path
    seconds: NDArray[np.float64]
    valid: NDArray[np.float64]
    test: NDArray[np.float64]
    is_unseen: NDArray[np.bool_]


class StudyError(MocmeError):
    """A study that cannot be run as asked."""


def chosen(variants: Variants, only: Sequence[str]) -> dict[str, PipelineConfig]:
    """Return the configs to compare, the given one first.

    Args:
        variants: What could be compared.
        only: Names of the variants to compare the given config with; empty = all.

    Raises:
        StudyError: If there is no such variant.
    """
    for name in only:
        if name in variants.left_out:
            raise StudyError(
                f"found the variant {name!r}, which is left out ({variants.left_out[name]}); "
                f"allowed: {', '.join(variants.configs)}"
            )
        if name not in variants.configs:
            raise StudyError(
                f"found the variant {name!r}{did_you_mean(name, variants.configs)}; "
                f"allowed: {', '.join(variants.configs)}"
            )
    names = {FULL, *(only or variants.configs)}
    return {name: config for name, config in variants.configs.items() if name in names}


def check_test(config: PipelineConfig) -> None:
    """See to it, before hours of training, that there is something to compare variants on.

    Raises:
        StudyError: If no triple of test is clean.
    """
    if not clean_test_mask(read_dataset(config.dataset, config.split_salt).graph).any():
        raise StudyError(
            f"{config.dataset}: found no triple of test that stands in neither train nor valid, so "
            "none to compare variants on; allowed: at least one"
        )


def run_study(
    variants: dict[str, PipelineConfig],
    folder: Path,
    seeds: Sequence[int],
    num_processes: int,
    on_run: Callable[[str, int], None],
    progress: StudyProgress | None = None,
) -> list[VariantRuns]:
    """Train and rank every variant with every seed.

    Args:
        variants: What to compare, by name.
        folder: Where their configs are written, and beside it the runs of all studies.
        seeds: `train.seed` of the runs.
        num_processes: Trainings at once; the processor's threads are shared out.
        on_run: Called with the variant and the seed when a run is finished, or found to be.
        progress: Counts the runs; it is up to date when `on_run` is called.

    Raises:
        MocmeError: If a run fails, or something of the user's is in the folder.
    """
    check_started(folder, _config_name(FULL))
    values = {"runs": folder.parent / "runs", "train.final": FINAL_OF_STUDIES}
    files = {
        name: _write_variant(folder, name, with_values(config, values))
        for name, config in variants.items()
    }
    # By seed, so that a study that was stopped has compared all variants on some seeds; the first
    # run extracts what is new, alone, as two would extract it twice.
    jobs = [(name, seed) for seed in seeds for name in variants]
    trainings = _Trainings(files, num_processes, on_run, progress or StudyProgress(num_processes))
    run_dirs = trainings.run_all(jobs)
    return [
        _ranked(name, files[name], [run_dirs[name, seed] for seed in seeds]) for name in variants
    ]


class _Trainings:
    """Trains variants, or finds that it is done.

    Args:
        files: Configs of the variants, by name.
        num_processes: Trainings at once.
        on_run: Called with the variant and the seed of a run that is done.
        progress: Counts the runs.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        num_processes: int,
        on_run: Callable[[str, int], None],
        progress: StudyProgress,
    ) -> None:
        self._files, self._on_run, self._progress = files, on_run, progress
        self._pool = TrainingPool(num_processes)

    def run_all(self, jobs: Sequence[Job]) -> dict[Job, Path]:
        """Return the folder of the run of each variant and seed; the first is made alone."""
        self._progress.expect(name for name, _ in jobs)
        run_dirs = {jobs[0]: self._run(jobs[0])}
        for name, seed in jobs[1:]:
            if (done := _finished_run(self._files[name], seed=seed)) is not None:
                run_dirs[name, seed] = done
                self._progress.found(name, _seconds_of(done))
                self._on_run(name, seed)
        left = [job for job in jobs if job not in run_dirs]
        run_dirs |= zip(left, self._pool.map(self._run, left), strict=True)
        return run_dirs

    def _run(self, job: Job) -> Path:
        name, seed = job
        number = self._progress.begin(name)
        run_dir = self._pool.train(self._files[name], [f"train.seed={seed}"])
        self._progress.end(number)
        self._on_run(name, seed)
        return run_dir


def _seconds_of(run_dir: Path) -> float | None:
    """Return how long a training took that was done before."""
    manifest = StagedRun(run_dir).manifest("train")
    return None if manifest is None else manifest.seconds


def _finished_run(config_file: Path, *, seed: int) -> Path | None:
    """Return the folder of a run that need not be trained, which costs Prefect's start-up."""
    found = status_of(load_config(config_file, [f"train.seed={seed}"]))
    is_done = {found.stages[stage].state for stage in ("extract", "train")} == {"fresh"}
    return found.run_dir if is_done else None


def _write_variant(folder: Path, name: str, config: PipelineConfig) -> Path:
    path = folder / _config_name(name)
    with write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_config(config, path)
    return path


def _config_name(variant: str) -> str:
    return f"{variant.replace(' ', '-').replace(',', '')}.yaml"


def _ranked(name: str, config_file: Path, run_dirs: Sequence[Path]) -> VariantRuns:
    from model.evaluation.evaluate import reciprocal_ranks  # imports torch
    from model.runs.run_folder import RunFolder

    found = [reciprocal_ranks(run_dir) for run_dir in run_dirs]
    return VariantRuns(
        name,
        config_file,
        np.array([RunFolder(run_dir).seconds_trained() for run_dir in run_dirs]),
        np.stack([run.valid for run in found]),
        np.stack([run.test for run in found]),
        found[0].is_unseen,
    )
