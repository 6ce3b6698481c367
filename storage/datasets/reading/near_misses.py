"""Files that are not read and were probably meant to be: `triples.csv`, `entities.json.gz`."""

import os
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from storage.words.visible import quoted

Wanted = Literal["entities", "triples", "train", "valid", "test", "negatives"]

_STEMS: dict[Wanted, tuple[str, ...]] = {
    "entities": ("entities", "entity", "entity2id", "nodes", "node", "vertices", "items"),
    "triples": (
        *("triples", "triple", "facts", "fact", "edges", "relations", "links", "statements"),
        *("graph", "kg"),
    ),
    "train": ("train", "training", "train2id"),
    "valid": ("valid", "validation", "val", "dev", "valid2id"),
    "test": ("test", "testing", "test2id"),
    "negatives": ("negatives", "negative", "wrong", "false"),
}
_TABLES = (".csv", ".tsv", ".txt", ".tab", ".xlsx", ".parquet", ".json", ".jsonl", ".ndjson", "")
_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst")
_DATA = (".csv", ".tsv", ".tab", ".nt", ".ttl", ".xlsx", ".parquet")
_LEAST_SIMILARITY = 80  # percent
_MOST_LOOKED_AT = 10_000  # files of a folder
MOST_NAMED = 3
"""Files that a message names at most."""


def near_misses(folder: Path, wanted: Sequence[Wanted], read: Collection[str]) -> list[str]:
    """Return names of files in a folder that may have been meant, the likeliest first.

    Args:
        folder: The folder; may be absent.
        wanted: What the absent file would hold.
        read: Names that are read as something else.
    """
    try:
        with os.scandir(folder) as entries:
            names = [it.name for it in islice(entries, _MOST_LOOKED_AT) if it.is_file()]
    except OSError:
        return []
    others = [name for name in names if name not in read and not name.startswith(".")]
    scores = {name: _likeness(name, wanted) for name in others}
    likely = sorted((name for name in others if scores[name]), key=lambda it: (-scores[it], it))
    return likely[:MOST_NAMED]


def but_there_is(names: Sequence[str]) -> str:
    """Return `, but 'triples.csv'`, or nothing."""
    return f", but {' and '.join(map(quoted, names))}" if names else ""


def is_like(name: str, wanted: Wanted) -> bool:
    """Whether a file is called as one of that kind might be."""
    return _likeness(name, (wanted,)) >= _LEAST_SIMILARITY


def _likeness(name: str, wanted: Sequence[Wanted]) -> float:
    """Return how likely a file was meant, 0 if it was not."""
    stem, suffix = _stem_and_suffix(name)
    if suffix not in _TABLES and suffix not in _DATA:
        return 0.0
    from rapidfuzz import fuzz  # only an error pays for the import

    stems = [it for one in wanted for it in _STEMS[one]]
    best = max(fuzz.ratio(stem, it) for it in stems)
    if best >= _LEAST_SIMILARITY:
        return best
    is_table_of_facts = suffix in _DATA and "entities" not in wanted
    return 1.0 if is_table_of_facts else 0.0


def _stem_and_suffix(name: str) -> tuple[str, str]:
    """Return the parts of a name in lower case, without what packs it or is put behind it."""
    lower = name.lower()
    for packed in _PACKED:
        lower = lower.removesuffix(packed)
    stem, _, suffixes = lower.partition(".")
    return stem.strip(" _-0123456789()"), f".{suffixes.split('.')[0]}" if suffixes else ""
