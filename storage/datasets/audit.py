"""Audit of the splits: what makes a number on them mean less than it seems to.

Published splits hold duplicates, triples that stand in another split too (leaks), and entities that
training never sees. A *line* is a triple as listed, counted as often as it is listed; a *distinct*
triple counts once; a *clean* one is distinct and stands in no other split.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import SPLITS, Graph, Split, Triples
from storage.datasets.keys import Keys, first_occurrences, is_among, pack

SUMMARY_HEADER = ("count", "train", "valid", "test")
RELATION_HEADER = ("relation", "train", "valid", "test", "leaking test", "unseen entity in test")

_LEAK_DIRECTIONS: tuple[tuple[Split, Split], ...] = (
    ("valid", "train"),
    ("test", "train"),
    ("test", "valid"),
)

_MIN_CLEAN_VALID = 100
_MIN_CLEAN_VALID_FRACTION = 0.1


@dataclass(frozen=True)
class SplitCounts:
    """Counts within one split.

    Attributes:
        lines: Triples as listed.
        distinct: Distinct triples.
        duplicates: Lines that repeat an earlier line of the split.
        clean: Distinct triples that stand in no other split.
        unseen_entity: Lines with an entity that no training triple has.
        unseen_relation: Lines with a relation that no training triple has.
        self_loops: Lines whose head is their tail.
    """

    lines: int
    distinct: int
    duplicates: int
    clean: int
    unseen_entity: int
    unseen_relation: int
    self_loops: int


@dataclass(frozen=True)
class LeakCounts:
    """Triples of one split that stand in another one.

    Attributes:
        lines: Lines of the split that stand in the source.
        distinct: Distinct triples of the split that stand in the source.
        reversed_lines: Lines, self-loops apart, whose reverse (tail, relation, head) stands in the
            source: easy to answer where the relation is symmetric.
    """

    lines: int
    distinct: int
    reversed_lines: int


@dataclass(frozen=True)
class RelationCounts:
    """Lines of one relation.

    Attributes:
        train: Training lines.
        valid: Validation lines.
        test: Test lines.
        leaking_test: Test lines that stand in train or valid.
        unseen_test: Test lines with an entity that no training triple has.
    """

    train: int
    valid: int
    test: int
    leaking_test: int
    unseen_test: int


@dataclass(frozen=True)
class NegativeCounts:
    """Triples that are stated to be wrong.

    Attributes:
        distinct: Distinct negatives.
        train: How many of them stand in train.
        valid: How many stand in valid.
        test: How many stand in test.
    """

    distinct: int
    train: int
    valid: int
    test: int


@dataclass(frozen=True)
class SplitAudit:
    """What the audit of a graph found.

    Attributes:
        splits: Counts by split.
        leaks: Counts by (split, source).
        relations: Counts by relation, in the graph's order.
        negatives: Counts of the negatives, and of those that a split states to be true.
    """

    splits: Mapping[Split, SplitCounts]
    leaks: Mapping[tuple[Split, Split], LeakCounts]
    relations: Mapping[str, RelationCounts]
    negatives: NegativeCounts

    @property
    def is_clean(self) -> bool:
        """Whether no triple stands twice, neither in one split nor in two."""
        return not any(counts.duplicates for counts in self.splits.values()) and not any(
            leak.lines for leak in self.leaks.values()
        )

    @property
    def valid_is_usable(self) -> bool:
        """Whether enough of valid is clean to select a model on.

        This project's definition: at least 100 clean triples and a tenth of the lines; half of
        the distinct triples are enough in any case, for small graphs.
        """
        valid = self.splits["valid"]
        needed = max(_MIN_CLEAN_VALID, _MIN_CLEAN_VALID_FRACTION * valid.lines)
        return valid.clean >= min(needed, valid.distinct / 2)

    def to_dict(self) -> dict[str, Any]:
        """Return all counts as a JSON object."""
        return {
            "splits": {split: asdict(counts) for split, counts in self.splits.items()},
            "leaks": {
                f"{split}_in_{source}": asdict(counts)
                for (split, source), counts in self.leaks.items()
            },
            "valid_is_usable": self.valid_is_usable,
            "is_clean": self.is_clean,
            "negatives": asdict(self.negatives),
            "relations": {name: asdict(counts) for name, counts in self.relations.items()},
        }

    def summary_rows(self) -> list[tuple[str, ...]]:
        """Return the rows of a table under `SUMMARY_HEADER`; `-` where a count has no meaning."""
        splits = [asdict(self.splits[split]) for split in SPLITS]
        rows = [
            (label, *(f"{counts[name]:,}" for counts in splits))
            for name, label in _SUMMARY_LABELS.items()
        ]
        for source in ("train", "valid"):
            leaks = [self.leaks.get((split, source)) for split in SPLITS]
            for name, label in _LEAK_LABELS.items():
                cells = ("-" if leak is None else f"{asdict(leak)[name]:,}" for leak in leaks)
                rows.append((label.format(source), *cells))
        if self.negatives.distinct:
            cells = (f"{asdict(self.negatives)[split]:,}" for split in SPLITS)
            rows.append((f"of {self.negatives.distinct:,} negatives stand here", *cells))
        return rows

    def relation_rows(self) -> list[tuple[str, ...]]:
        """Return the rows of a table under `RELATION_HEADER`, one for each relation."""
        return [
            (name, *(f"{count:,}" for count in asdict(counts).values()))
            for name, counts in self.relations.items()
        ]


_SUMMARY_LABELS = {
    "lines": "lines",
    "distinct": "distinct triples",
    "duplicates": "duplicate lines",
    "clean": "distinct triples in no other split",
    "unseen_entity": "lines with an entity unseen in train",
    "unseen_relation": "lines with a relation unseen in train",
    "self_loops": "self-loops",
}
_LEAK_LABELS = {
    "lines": "lines that stand in {}",
    "distinct": "distinct triples that stand in {}",
    "reversed_lines": "lines whose reverse stands in {}",
}


def audit(graph: Graph) -> SplitAudit:
    """Count duplicates, leaks and unseen entities and relations of the graph's splits.

    Args:
        graph: The graph.
    """
    keys = {split: triple_keys(graph, graph.split(split)) for split in SPLITS}
    distinct = {split: np.unique(keys[split]) for split in SPLITS}
    leaks = {
        (split, source): _count_leaks(graph, keys[split], split, distinct[source])
        for split, source in _LEAK_DIRECTIONS
    }
    splits = {split: _count_split(graph, distinct, split) for split in SPLITS}
    leaking = is_among(keys["test"], distinct["train"]) | is_among(keys["test"], distinct["valid"])
    negatives = np.unique(triple_keys(graph, graph.negatives))
    found = (int(is_among(negatives, distinct[split]).sum()) for split in SPLITS)
    counts = NegativeCounts(len(negatives), *found)
    return SplitAudit(splits, leaks, _count_relations(graph, leaking), counts)


def clean_test_mask(graph: Graph) -> NDArray[np.bool_]:
    """Return which test lines make up the clean test split of a published graph.

    A run that learned from the published train and was selected on the published valid is judged
    on these: the first line of each distinct triple that stands in neither. Shape: (num_test,).
    """
    train, valid, test = (triple_keys(graph, graph.split(split)) for split in SPLITS)
    leaking = is_among(test, np.unique(train)) | is_among(test, np.unique(valid))
    return first_occurrences(test) & ~leaking


def triple_keys(graph: Graph, triples: Triples) -> Keys:
    """Pack each triple into one number.

    Args:
        graph: Which the indices belong to.
        triples: Shape: (num_triples, 3).

    Raises:
        OverflowError: If the graph has so many entities and relations that 63 bits are too few.
    """
    return pack(triples, graph.num_entities, graph.num_relations)


def _has_unseen_entity(graph: Graph, triples: Triples) -> NDArray[np.bool_]:
    """Return which triples have an entity unseen in training. Shape: (num_triples,)."""
    seen = graph.seen_in_training
    unseen: NDArray[np.bool_] = ~(seen[triples[:, 0]] & seen[triples[:, 2]])
    return unseen


def _count_split(graph: Graph, distinct: Mapping[Split, Keys], split: Split) -> SplitCounts:
    triples = graph.split(split)
    others = [distinct[other] for other in SPLITS if other != split]
    in_others = is_among(distinct[split], others[0]) | is_among(distinct[split], others[1])
    relation_seen = np.bincount(graph.train[:, 1], minlength=graph.num_relations) > 0
    return SplitCounts(
        lines=len(triples),
        distinct=len(distinct[split]),
        duplicates=len(triples) - len(distinct[split]),
        clean=int((~in_others).sum()),
        unseen_entity=int(_has_unseen_entity(graph, triples).sum()),
        unseen_relation=int((~relation_seen[triples[:, 1]]).sum()),
        self_loops=int((triples[:, 0] == triples[:, 2]).sum()),
    )


def _count_leaks(graph: Graph, keys: Keys, split: Split, distinct_source: Keys) -> LeakCounts:
    leaking = is_among(keys, distinct_source)
    triples = graph.split(split)
    is_loop = triples[:, 0] == triples[:, 2]
    reverse_keys = triple_keys(graph, triples[:, ::-1])
    return LeakCounts(
        lines=int(leaking.sum()),
        distinct=len(np.unique(keys[leaking])),
        reversed_lines=int((is_among(reverse_keys, distinct_source) & ~is_loop).sum()),
    )


def _count_relations(graph: Graph, leaking: NDArray[np.bool_]) -> dict[str, RelationCounts]:
    """Count by relation, given which test lines leak. Shape of `leaking`: (num_test,)."""
    groups = (
        *(graph.split(split) for split in SPLITS),
        graph.test[leaking],
        graph.test[_has_unseen_entity(graph, graph.test)],
    )
    columns = [np.bincount(group[:, 1], minlength=graph.num_relations) for group in groups]
    rows = np.stack(columns, axis=1).tolist()
    return {name: RelationCounts(*row) for name, row in zip(graph.relations, rows, strict=True)}
