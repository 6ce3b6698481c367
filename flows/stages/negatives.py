"""Triples that a run's dataset says are wrong: as it says now, not as it did at the training."""

import hashlib
import os
from pathlib import Path

from storage.datasets.graph import Graph, Triples
from storage.datasets.reading.dataset_folder import ENTITIES_FILE
from storage.datasets.reading.negatives import NEGATIVES_FILE, read_negatives
from storage.datasets.reading.unknown import UnknownNames
from storage.files.file_access import open_regular
from storage.files.file_errors import read_errors


def negatives_now(dataset: Path, graph: Graph) -> Triples:
    """Return the triples that a dataset says are wrong, as far as a run's graph has their names.

    Args:
        dataset: The dataset's folder; if it is gone, the run's own negatives are returned.
        graph: The run's.

    Returns:
        Shape: (num_negatives, 3).

    Raises:
        DatasetError: If the file cannot be read as it is written.
    """
    if not dataset.is_dir():
        return graph.negatives
    if not os.path.lexists(dataset / NEGATIVES_FILE):
        return graph.negatives[:0]
    entities = {entity: row for row, entity in enumerate(graph.entities)}
    relations = {relation: row for row, relation in enumerate(graph.relations)}
    not_in_run = UnknownNames()  # what came after the training is no answer of the run
    return read_negatives(dataset, entities, relations, ENTITIES_FILE, not_in_run)


def negatives_digest(dataset: Path) -> str | None:
    """Return the SHA-256 of a dataset's file of negatives, in hex; None if there is none.

    Raises:
        FileError: If it cannot be read.
    """
    path = dataset / NEGATIVES_FILE
    if not os.path.lexists(path):
        return None
    with read_errors(path, "a file that can be read"), open_regular(path, dataset) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
