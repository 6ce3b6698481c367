"""Files of a dataset's folder that look like tables and are not read."""

import os

from storage.datasets.dataset import Dataset
from storage.datasets.reading import dataset_folder
from storage.datasets.reading.negatives import NEGATIVES_FILE

_LIKE_TABLES = (".jsonl", ".ndjson", ".tsv", ".csv", ".jsonl.gz", ".tsv.gz", ".csv.gz")
_WITHOUT_ID = "its first object has no 'id'"
_OF_NO_DATASET = "a dataset has no file of this name"


def unread_files(dataset: Dataset) -> dict[str, str]:
    """Return which files of the folder may be meant for the dataset and are not read, and why.

    Args:
        dataset: The dataset.

    Returns:
        Name -> reason, in the order of the names.
    """
    own = dataset_folder.FILES if dataset.form == "jsonl" else (NEGATIVES_FILE,)
    read = {*own, *dataset.further.read}
    reasons = {
        entry.name: _OF_NO_DATASET if entry.is_file() else "no regular file"
        for entry in os.scandir(dataset.root)
        if entry.name.lower().endswith(_LIKE_TABLES)
        and not entry.name.startswith(".")
        and entry.name not in read
    }
    reasons |= dict.fromkeys(dataset.further.ignored, _WITHOUT_ID)
    return dict(sorted(reasons.items()))
