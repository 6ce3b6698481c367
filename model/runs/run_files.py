"""Which files a training leaves in a run's folder, by name, and what is said of them at its end.

Free of torch, so that flows can read it. `training.json` is written when a training is done:

    {"format": 5, "best_epoch": ..., "best_valid_mrr": ..., "dtype": ...,
     "files": {name: {"size": bytes, "sha256": hex}}, "checksum": of all that}

Runs of an older format lack parts of the calibration of probabilities, and are refused.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from model.runs.epoch_report import TENSORBOARD_FOLDER
from storage.errors import MocmeError
from storage.files.checksums import SEAL, describe, is_as_described, seal
from storage.files.file_errors import DamagedFileError, read_errors
from storage.files.owned import check_readable_file, delete_own_files, is_own_file

FORMAT = 5
"""Of run folders, the one that is read. Raise it when what an older mocme wrote, or an older one
would read, is misread."""

GRAPH_FILE = "graph.json"
TRIPLES_FILE = "triples.safetensors"
WEIGHTS_FILE = "model.safetensors"
SCORING_FILE = "scoring.safetensors"
METRICS_FILE = "metrics.jsonl"
TRAINING_FILE = "training.json"
CHECKPOINT_FILE = "checkpoint.safetensors"
SELECTION_FOLDER = "selection"
"""Folder of the training that a model is selected on where valid leaks."""
FINAL_FOLDER = "final"
"""Folder of the training whose model answers, where that is another than the one measured."""
_SUBFOLDERS = (SELECTION_FOLDER, FINAL_FOLDER)

_EVENTS = "events.out.tfevents.[0-9]*.[0-9]*.[0-9]*"
"""Names of TensorBoard's files: seconds, host, process and number."""

_LASTING = (GRAPH_FILE, TRIPLES_FILE, WEIGHTS_FILE, SCORING_FILE, METRICS_FILE, TRAINING_FILE)

FILES = (*_LASTING, CHECKPOINT_FILE)
"""All that a training writes to a folder, TensorBoard's log aside."""

OUTPUTS = (*_LASTING, *(f"{folder}/{name}" for folder in _SUBFOLDERS for name in _LASTING))
"""What the finished trainings of a run have left."""

DERIVED = (METRICS_FILE, *(f"{folder}/{METRICS_FILE}" for folder in _SUBFOLDERS))
"""Those of them that nothing is answered from: to lose one is no reason to train again."""

TRAIN_ANEW = "`mocme train CONFIG` trains anew"


class OtherFormatError(MocmeError):
    """A run that another version of mocme has written."""


def check_format(path: Path, value: Mapping[str, Any]) -> None:
    """Refuse what was written in another format.

    Args:
        path: The file.
        value: The JSON object that it holds.

    Raises:
        OtherFormatError: If it is of another format.
        ValueError: If it says of none.
    """
    if "format" not in value:
        raise ValueError("no format")
    found = value["format"]
    if found != FORMAT:
        raise OtherFormatError(
            f"{path}: found a run of format {found!r}; allowed: {FORMAT}; {TRAIN_ANEW}, or use the "
            "version of mocme that wrote it"
        )


def read_summary(root: Path) -> dict[str, Any] | None:
    """Read training.json.

    Args:
        root: The run's folder.

    Returns:
        None if there is none: the training has not finished.

    Raises:
        OtherFormatError: If another version wrote it.
        DamagedFileError: If it is damaged.
        FileError: If it cannot be read.
    """
    path = root / TRAINING_FILE
    with read_errors(path, TRAIN_ANEW):
        try:
            check_readable_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("no object")
        check_format(path, found)
        if found.get(SEAL) != seal(found):
            raise ValueError("its checksum does not match")
        return found


def summary_text(root: Path, summary: Mapping[str, Any]) -> str:
    """Return what training.json is to hold.

    Args:
        root: The run's folder, in which the other files lie.
        summary: What the training found.
    """
    names = [name for name in _LASTING if name != TRAINING_FILE and is_own_file(root, name)]
    files = {name: describe(root / name) for name in names}
    whole = {"format": FORMAT, **summary, "files": files}
    return json.dumps({**whole, SEAL: seal(whole)}, ensure_ascii=False)


def event_files(root: Path) -> list[str]:
    """Return the paths of TensorBoard's files in a run's folder, relative to it."""
    found = sorted((root / TENSORBOARD_FOLDER).glob(_EVENTS))
    return [path.relative_to(root).as_posix() for path in found]


def delete_training(root: Path) -> None:
    """Delete all that a run's trainings have left, and the folders that are empty then."""
    folders = [root / name for name in _SUBFOLDERS]
    for folder in (*folders, root):
        names = [*FILES, *event_files(folder)]
        delete_own_files(root, [(folder / name).relative_to(root).as_posix() for name in names])
    for folder in (*(it / TENSORBOARD_FOLDER for it in (*folders, root)), *folders):
        with suppress(OSError):  # something of the user's is in it
            folder.rmdir()


def answering_folder(root: Path) -> Path:
    """Return the folder in a run's whose model answers: that of the final model, if it is done.

    Raises:
        OtherFormatError: If another version wrote it.
        DamagedFileError: If what says that it is done is damaged.
        FileError: If that cannot be read.
    """
    final = root / FINAL_FOLDER
    return root if read_summary(final) is None else final


def check_file(path: Path) -> None:
    """Compare a file of a run with what its training left.

    Files of a training that goes on pass.

    Raises:
        DamagedFileError: If it has other bytes.
        FileError: If it is absent or cannot be read.
    """
    with read_errors(path, TRAIN_ANEW):
        check_readable_file(path)
        described = (read_summary(path.parent) or {}).get("files", {}).get(path.name)
        if described is not None and not is_as_described(path, described):
            raise ValueError("its checksum does not match")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Check a file of a run, and tell what reading it raises as what it is."""
    with read_errors(path, TRAIN_ANEW):
        check_file(path)
        yield


def check_answering_files(root: Path) -> None:
    """Check the files without which a finished training can neither be measured nor answer.

    Raises:
        OtherFormatError: If another version wrote it.
        DamagedFileError: If a file is not as the training left it.
        FileError: If a file is absent or cannot be read.
    """
    for name in (GRAPH_FILE, TRIPLES_FILE, SCORING_FILE):
        check_file(root / name)


def is_finished(root: Path) -> bool:
    """Whether a training is done and all that is answered from is as it left it.

    Raises:
        OtherFormatError: If another version wrote it.
        FileError: If a file cannot be read.
    """
    try:
        summary = read_summary(root)
        if summary is None or not (root / SCORING_FILE).exists():
            return False
        needed = summary.get("files", {}).keys() - set(DERIVED)
        if not all((root / name).exists() for name in needed):
            return False
        for name in needed:
            check_file(root / name)
    except DamagedFileError:
        return False
    return True
