"""Files of a dataset's folder that may be meant for it and are not read."""

import os

from storage.datasets.clean import COUNTS_FILE
from storage.datasets.dataset import Dataset, DatasetForm
from storage.datasets.reading import dataset_folder, openke
from storage.datasets.reading.near_misses import is_like
from storage.datasets.reading.negatives import NEGATIVES_FILE

_TABLES = (
    *(".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".tab", ".txt"),
    *(".xlsx", ".xls", ".ods", ".parquet", ".nt", ".ttl"),
)
_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst")
_BACKUPS = ("~", "#", ".bak", ".orig", ".old", ".swp", ".tmp")
_WITHOUT_ID = "its first line is no object with an 'id'"
_OF_NO_DATASET = "a dataset has no file of this name"
_LIKE_NEGATIVES = f"{_OF_NO_DATASET}; negatives are read from {NEGATIVES_FILE}"
_FILES: dict[DatasetForm, tuple[str, ...]] = {
    "jsonl": dataset_folder.FILES,
    "openke": openke.FILES,
}


def unread_files(dataset: Dataset) -> dict[str, str]:
    """Return which files of the folder may be meant for the dataset and are not read, and why.

    They are those that are called as tables are, packed ones and editors' backups among them.
    Hidden files, and files in folders of the folder, are none of them.

    Args:
        dataset: The dataset.

    Returns:
        Name -> reason, in the order of the names.
    """
    read = {*_FILES[dataset.form], *dataset.further.read, COUNTS_FILE}
    with os.scandir(dataset.root) as entries:
        reasons = {
            entry.name: _reason(entry)
            for entry in entries
            if _is_like_a_table(entry.name) and entry.name not in read
        }
    reasons |= dict.fromkeys(dataset.further.ignored, _WITHOUT_ID)
    return dict(sorted(reasons.items()))


def _is_like_a_table(name: str) -> bool:
    """Whether a file is called as tables are, packed or not, or as a backup of one."""
    if name.startswith("."):
        return False
    lower = name.lower()
    for endings in (_BACKUPS, _PACKED):
        for ending in endings:
            lower = lower.removesuffix(ending)
    return lower.endswith(_TABLES)


def _reason(entry: "os.DirEntry[str]") -> str:
    if not entry.is_file():
        return "no regular file"
    return _LIKE_NEGATIVES if is_like(entry.name, "negatives") else _OF_NO_DATASET
