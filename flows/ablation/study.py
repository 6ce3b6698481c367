"""Trains the variants of a study, skips what is done, and ranks the answers of each.

A run is `mocme train` in a process of its own, so it is resumed where it was stopped, and found
again by the next study.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from flows.ablation.variants import FULL, StudyName, variants_of
from flows.config import PipelineConfig
from flows.staged_run import StagedRun, write_whole
from storage.errors import MocmeError


@dataclass(frozen=True)
class VariantRuns:
    """The trained runs of a variant, one for each seed.

    Attributes:
        name: The variant's name.
        config_file: Its config.
        seconds: Seconds that each training took. Shape: (S,).
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
    """A run of a study that failed."""


def run_study(
    config: PipelineConfig,
    study: StudyName,
    folder: Path,
    seeds: Sequence[int],
    only: Sequence[str],
    num_processes: int,
    on_run: Callable[[str, int], None],
) -> list[VariantRuns]:
    """Train and rank every variant with every seed.

    Args:
        config: What the variants are changed from.
        study: Which variants.
        folder: Where their configs are written, and beside it the runs of all studies.
        seeds: `train.seed` of the runs.
        only: Names of the variants to run beside the config as it is; empty = all.
        num_processes: Trainings at once; the processor's threads are shared out.
        on_run: Called with the variant and the seed when a run is finished.

    Raises:
        MocmeError: If a run fails, or there is no such variant.
    """
    config = config.model_copy(update={"runs": folder.parent / "runs"})
    variants = _chosen(variants_of(config, study), only)
    files = {name: _write_config(folder, name, variant) for name, variant in variants.items()}
    threads = max(1, (os.cpu_count() or 1) // num_processes)

    def run(job: tuple[str, int]) -> Path:
        name, seed = job
        run_dir = _train(files[name], seed, threads)
        on_run(name, seed)
        return run_dir

    # By seed, so that a study that was stopped has compared all variants on some seeds; the first
    # run extracts what is new, alone, as two would extract it twice.
    jobs = [(name, seed) for seed in seeds for name in variants]
    with ThreadPoolExecutor(num_processes) as pool:
        try:
            run_dirs = dict(zip(jobs, [run(jobs[0]), *pool.map(run, jobs[1:])], strict=True))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has begun ends, the rest does not
            raise
    return [
        _ranked(name, files[name], [run_dirs[name, seed] for seed in seeds]) for name in variants
    ]


def _chosen(
    variants: Mapping[str, PipelineConfig], only: Sequence[str]
) -> Mapping[str, PipelineConfig]:
    unknown = [name for name in only if name not in variants]
    if unknown:
        raise StudyError(f"found variants {unknown}; allowed: {', '.join(variants)}")
    chosen = {FULL, *(only or variants)}
    return {name: config for name, config in variants.items() if name in chosen}


def _write_config(folder: Path, name: str, config: PipelineConfig) -> Path:
    path = folder / f"{name.replace(' ', '-').replace(',', '')}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_whole(path, text)
    return path


def _train(config_file: Path, seed: int, threads: int) -> Path:
    """Run `mocme train` and return the run's folder."""
    command = [sys.executable, "-m", "flows.cli", "train", str(config_file), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(  # noqa: S603 - our own command line
        [*command, "--set", f"train.seed={seed}"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise StudyError(
            f"{config_file}: found that `mocme train --set train.seed={seed}` ended with exit code "
            f"{done.returncode}; allowed: 0. It said:\n{done.stderr.strip()[-2000:]}"
        )
    return Path(json.loads(done.stdout)["run_dir"])


def _ranked(name: str, config_file: Path, run_dirs: Sequence[Path]) -> VariantRuns:
    from model.evaluation import reciprocal_ranks  # imports torch

    found = [reciprocal_ranks(run_dir) for run_dir in run_dirs]
    manifests = [StagedRun(run_dir).manifest("train") for run_dir in run_dirs]
    return VariantRuns(
        name,
        config_file,
        np.array([manifest.seconds if manifest else np.nan for manifest in manifests]),
        np.stack([run.valid for run in found]),
        np.stack([run.test for run in found]),
        found[0].is_unseen,
    )
