"""Which tables of a run's dataset were written after its training: a glance, no comparison."""

from contextlib import suppress
from pathlib import Path

from flows.stages.staged_run import STAGES_FOLDER, StagedRun
from storage.datasets.reading import dataset_folder, openke
from storage.datasets.reading.further import find_further_files
from storage.datasets.reading.negatives import NEGATIVES_FILE
from storage.errors import MocmeError


def newer_files(run: StagedRun) -> list[str]:
    """Return the names of the tables of a run's dataset that are newer than its training.

    What is known to be wrong counts at once and is left out; media are not looked at.

    Args:
        run: A run; nothing is returned if its dataset is gone.
    """
    with suppress(MocmeError, OSError):
        trained = (run.path / STAGES_FOLDER / "train.json").stat().st_mtime_ns
        folder = run.config().dataset
        return [name for name in _tables(folder) if _is_newer(folder / name, trained)]
    return []


def _tables(folder: Path) -> list[str]:
    """Return the names of the tables that a dataset in a folder may be read from, in order."""
    further = find_further_files(folder, dataset_folder.ENTITIES_FILE).read
    return sorted({*dataset_folder.FILES, *openke.FILES, *further} - {NEGATIVES_FILE})


def _is_newer(file: Path, trained: int) -> bool:
    return file.is_file() and file.stat().st_mtime_ns > trained
