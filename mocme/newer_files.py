"""Which tables of a run's dataset were written after its training: a glance, no comparison."""

from contextlib import suppress
from pathlib import Path

from flows.stages.staged_run import STAGES_FOLDER, StagedRun
from storage.datasets.reading.negatives import NEGATIVES_FILE
from storage.errors import MocmeError

_TABLES = (".jsonl", ".tsv", "2id.txt")


def newer_files(run: StagedRun) -> list[str]:
    """Return the names of tables in the dataset's folder that are newer than the training.

    What is known to be wrong counts at once and is left out; media are not looked at.

    Args:
        run: A run; nothing is returned if its dataset is gone.
    """
    with suppress(MocmeError, OSError):
        trained = (run.path / STAGES_FOLDER / "train.json").stat().st_mtime_ns
        folder = run.config().dataset
        return sorted(file.name for file in folder.iterdir() if _is_newer(file, trained))
    return []


def _is_newer(file: Path, trained: int) -> bool:
    is_table = file.name.endswith(_TABLES) and not file.name.startswith(".")
    if not is_table or file.name == NEGATIVES_FILE or not file.is_file():
        return False
    return file.stat().st_mtime_ns > trained
