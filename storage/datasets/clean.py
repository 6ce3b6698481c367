"""The clean variant of a graph: no duplicates, no triple in two splits, a valid split to select on.

Numbers on it are not comparable with published ones, which is why they are given beside them.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from storage.datasets.audit import SplitAudit, audit, triple_keys
from storage.datasets.dataset import Dataset
from storage.datasets.graph import SPLITS, Graph
from storage.datasets.items import Entity
from storage.datasets.keys import first_occurrences, is_among
from storage.datasets.reading import dataset_folder, openke
from storage.datasets.split import carve
from storage.errors import DatasetError
from storage.files.file_access import FilesBelow, FileSignature

COUNTS_FILE = "clean.json"
"""Name of the file beside a clean variant that holds the counts of the audits."""

_MAX_CARVED_FRACTION = 0.1  # of train


def clean_splits(graph: Graph) -> Graph:
    """Return the graph with clean splits.

    - train: its distinct triples.
    - test: its distinct triples that do not stand in train. One that stands in valid too stays,
      for it is valid that must not have seen test.
    - valid: its distinct triples that stand in neither. If these are too few to select on
      (`SplitAudit.valid_is_usable`), triples of train are moved to valid, in hash order, until it
      has as many as the published split had distinct ones, or a tenth of train; never one whose
      entity or relation train would then have no more.

    The triples that stay keep their order. A split may come out empty. The splits are then those of
    a dataset that has some, also where mocme had made them.

    Args:
        graph: The graph as published.
    """
    train_keys, test_keys = (triple_keys(graph, triples) for triples in (graph.train, graph.test))
    test = graph.test[first_occurrences(test_keys) & ~is_among(test_keys, np.unique(train_keys))]
    cleaned = dataclasses.replace(_distinct(graph), test=test, split_by_hash=False)
    found = audit(graph)
    if found.valid_is_usable:
        return cleaned
    return _with_carved_valid(cleaned, found.splits["valid"].distinct)


def selection_splits(graph: Graph) -> Graph:
    """Return the graph to select a model on whose published valid leaks.

    As `clean_splits` would carve it, but test is the published one, and triples of train that
    stand there, too, are never moved to valid.

    Args:
        graph: The graph as published.
    """
    num_published = len(np.unique(triple_keys(graph, graph.valid)))
    return _with_carved_valid(_distinct(graph), num_published)


def _distinct(graph: Graph) -> Graph:
    """Return the distinct triples of train, and those of valid that stand in no other split."""
    train_keys, valid_keys, test_keys = (triple_keys(graph, graph.split(name)) for name in SPLITS)
    others = np.unique(np.concatenate([train_keys, test_keys]))
    return dataclasses.replace(
        graph,
        train=graph.train[first_occurrences(train_keys)],
        valid=graph.valid[first_occurrences(valid_keys) & ~is_among(valid_keys, others)],
    )


def _with_carved_valid(graph: Graph, num_published: int) -> Graph:
    """Move triples of train to valid until it is as large as it was, or a tenth of train."""
    size = min(num_published, int(_MAX_CARVED_FRACTION * len(graph.train)))
    in_test = is_among(triple_keys(graph, graph.train), np.unique(triple_keys(graph, graph.test)))
    missing = size - len(graph.valid)
    carved = carve(graph.train, graph.entities, graph.relations, missing, kept=in_test)
    valid = np.concatenate([graph.valid, graph.train[carved]])
    return dataclasses.replace(graph, train=graph.train[~carved], valid=valid)


def write_clean(dataset: Dataset, out_dir: Path) -> Graph:
    """Write the clean variant of a dataset in the form in which the dataset is written.

    Entities, relations and further files are copied as they are; confidences stay with their
    triples, and negatives are written, too. Media files that entities list are hard-linked
    (copied where the file system cannot), so nothing is stored twice; a link out of the dataset
    folder is not followed. `clean.json` holds the counts of the audit before and after.

    Args:
        dataset: The dataset as published.
        out_dir: A new or empty folder.

    Returns:
        The clean graph, equal to what reading `out_dir` yields.

    Raises:
        DatasetError: If `out_dir` is neither new nor empty or cannot be written to, or a split
            comes out empty.
    """
    graph = clean_splits(dataset.graph)
    for split in SPLITS:
        if not len(graph.split(split)):
            found = f"no {split} triple that stands in no other split"
            raise DatasetError(dataset.root, found=found, allowed="at least one in each split")
    _make_empty(out_dir)
    try:
        _write(dataset, graph, out_dir)
    except OSError as error:
        found = error.strerror or str(error)
        allowed = "a place with room that can be written to; empty the folder before the next try"
        raise DatasetError(out_dir, found=found, allowed=allowed) from error
    return graph


def _write(dataset: Dataset, graph: Graph, out_dir: Path) -> None:
    _write_counts(out_dir / COUNTS_FILE, before=audit(dataset.graph), after=audit(graph))
    if dataset.form == "openke":
        for name in (openke.ENTITIES_FILE, openke.RELATIONS_FILE):
            shutil.copyfile(dataset.root / name, out_dir / name)
        openke.write_splits(out_dir, graph)
    else:
        shutil.copyfile(dataset.entities_file, out_dir / dataset.entities_file.name)
        dataset_folder.write_splits(out_dir, graph)
    for name in dataset.further.read:
        shutil.copyfile(dataset.root / name, out_dir / name)
    _link_media(dataset, out_dir)  # last, so that no write can reach a linked original


def _make_empty(out_dir: Path) -> None:
    allowed = "a new or empty folder"
    try:
        if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
            found = "a folder that is not empty" if out_dir.is_dir() else "a file"
            raise DatasetError(out_dir, found=found, allowed=allowed)
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a link to nothing, too
        raise DatasetError(out_dir, found=error.strerror or str(error), allowed=allowed) from error


def _link_media(dataset: Dataset, out_dir: Path) -> None:
    files = FilesBelow(dataset.root)
    for listed in {path for entity in dataset.entities for path in _listed_strings(entity)}:
        target = out_dir / listed
        # Else a text and no path, or what must not be opened.
        if isinstance(files.signature(listed), FileSignature) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(files.real_path(listed), target)


def _listed_strings(entity: Entity) -> Iterator[str]:
    """Yield every string that may be a path; which fields hold paths is the config's affair."""
    for value in entity.fields.values():
        for string in value if isinstance(value, list) else [value]:
            if isinstance(string, str) and string and ".." not in Path(string).parts:
                yield string


def _link_or_copy(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _write_counts(file: Path, *, before: SplitAudit, after: SplitAudit) -> None:
    counts: dict[str, Any] = {"before": before.to_dict(), "after": after.to_dict()}
    for found in counts.values():
        del found["relations"]
    file.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
