"""Entities and relations of a graph whose ids look alike and are not the same."""

from collections.abc import Mapping, Sequence

from storage.datasets.graph import Graph
from storage.words.lookalike import difference, lookalikes

HEADER = ("of", "one", "other", "they differ in")

Lookalikes = Mapping[str, Sequence[tuple[str, ...]]]
"""`entities` or `relations` -> groups of ids."""


def find_lookalikes(graph: Graph) -> Lookalikes:
    """Return groups of ids that look alike; see `storage.words.lookalike`."""
    return {"entities": lookalikes(graph.entities), "relations": lookalikes(graph.relations)}


def rows_of(found: Lookalikes) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`, one for each pair."""
    return [
        (kind, repr(group[0]), repr(other), difference(group[0], other))
        for kind, groups in found.items()
        for group in groups
        for other in group[1:]
    ]
