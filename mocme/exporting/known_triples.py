"""The triples that a graph has, each once, by id, with the confidence that is stated for it."""

from typing import NamedTuple

import numpy as np

from storage.datasets.audit import triple_keys
from storage.datasets.graph import SPLITS, Graph
from storage.datasets.keys import is_among


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
    """Return every triple of the graph's splits once, without those that are known to be wrong.

    A dataset may list a triple as both; then it is no fact.
    """
    listed = np.concatenate([graph.split(split) for split in SPLITS])
    wrong = np.unique(triple_keys(graph, graph.negatives))
    triples = np.unique(listed[~is_among(triple_keys(graph, listed), wrong)], axis=0)
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
