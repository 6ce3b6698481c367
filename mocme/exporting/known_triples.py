"""The triples that a graph has, each once, by id, with the confidence that is stated for it."""

from typing import NamedTuple

import numpy as np

from storage.datasets.graph import SPLITS, Graph


class KnownTriple(NamedTuple):
    """A triple of any split.

    Attributes:
        head: Id.
        relation: Id.
        tail: Id.
        confidence: Below 1, if the dataset states one; else None.
    """

    head: str
    relation: str
    tail: str
    confidence: float | None = None


def known_triples(graph: Graph) -> list[KnownTriple]:
    """Return every triple of the graph's splits once; those known to be wrong are none of them."""
    triples = np.unique(np.concatenate([graph.split(split) for split in SPLITS]), axis=0)
    # The shortest decimal number of float32 is the one that the dataset states.
    stated = {
        tuple(triple): float(str(confidence))
        for triple, confidence in zip(graph.uncertain.tolist(), graph.confidences, strict=True)
    }
    entities, relations = graph.entities, graph.relations
    return [
        KnownTriple(entities[head], relations[relation], entities[tail], stated.get(triple))
        for triple in map(tuple, triples.tolist())
        for head, relation, tail in [triple]
    ]
