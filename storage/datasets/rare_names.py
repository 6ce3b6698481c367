"""Relations and fields that are rare and called almost as a common one: misspelt, perhaps."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from storage.datasets.dataset import Dataset
from storage.datasets.graph import SPLITS

HEADER = ("of", "name", "times", "almost as", "times")

_LEAST_SIMILARITY = 75.0  # percent; `txet` has so much of `text`
_TIMES_COMMONER = 10
_LONGEST = 100  # characters of a name that is looked at
_MOST_NAMES = 2_000  # of a kind; more are no schema that somebody typed


@dataclass(frozen=True)
class RareName:
    """A name that may be a common one misspelt.

    Attributes:
        of: `relation` or `field`.
        name: The name.
        count: Lines of triples that have the relation, or entities that have the field.
        common: The common name.
        common_count: How often that one stands.
    """

    of: str
    name: str
    count: int
    common: str
    common_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def find_rare_names(dataset: Dataset) -> list[RareName]:
    """Return the names that are ten times as rare as one that is almost the same.

    Args:
        dataset: The dataset.
    """
    graph = dataset.graph
    lines = np.concatenate([graph.split(split)[:, 1] for split in SPLITS])
    counts = np.bincount(lines, minlength=graph.num_relations).tolist()
    relations = dict(zip(graph.relations, counts, strict=True))
    fields = Counter(field for entity in dataset.entities for field in entity.fields)
    return [*_rare("relation", relations), *_rare("field", fields)]


def rows_of(found: list[RareName]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`."""
    return [(it.of, it.name, f"{it.count:,}", it.common, f"{it.common_count:,}") for it in found]


def _rare(of: str, counts: Mapping[str, int]) -> Iterator[RareName]:
    from rapidfuzz import fuzz, process

    names = [name for name in counts if len(name) <= _LONGEST]
    for name in names if len(names) <= _MOST_NAMES else ():
        common = [it for it in names if counts[it] >= _TIMES_COMMONER * max(1, counts[name])]
        best = process.extractOne(name, common, scorer=fuzz.ratio, score_cutoff=_LEAST_SIMILARITY)
        if best is not None:
            yield RareName(of, name, counts[name], str(best[0]), counts[str(best[0])])
