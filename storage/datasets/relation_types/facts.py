"""The distinct facts of a graph, and the counts of them that relations' types are learned from."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from storage.datasets.graph import SPLITS, Graph, Triples
from storage.datasets.keys import pack, sorted_distinct
from storage.datasets.relation_types.credible import Counts

_LEAST_CONFIDENCE = 0.5  # of a fact; below it the dataset itself holds it for wrong rather


def distinct_facts(graph: Graph) -> Triples:
    """Return the triples of all splits, each once, without those that are unlikely to be true.

    Returns:
        In the order head, relation, tail. Shape: (num_facts, 3).

    Raises:
        OverflowError: If the graph has so many entities and relations that 63 bits are too few.
    """
    triples = np.concatenate([graph.split(split) for split in SPLITS])
    keys = sorted_distinct(pack(triples, graph.num_entities, graph.num_relations))
    heads, rest = np.divmod(keys, graph.num_entities * graph.num_relations)
    relations, tails = np.divmod(rest, graph.num_entities)
    facts = np.stack([heads, relations, tails], axis=1)
    return facts[graph.confidence(facts) >= _LEAST_CONFIDENCE]


@dataclass(frozen=True)
class Members:
    """Entities that take part in the facts of each relation on one side: all heads, or all tails.

    Attributes:
        relations: Relation of each member. Shape: (num_members,).
        entities: The entity. Shape: (num_members,).
        num_answers: Entities at the other end of its facts. Shape: (num_members,).
    """

    relations: Counts
    entities: Counts
    num_answers: Counts


def members_of(facts: Triples, end: int, num_entities: int) -> Members:
    """Return the entities at one end of distinct facts.

    Args:
        facts: Shape: (num_facts, 3).
        end: 0 for heads, 2 for tails.
        num_entities: Of the graph.
    """
    keys = facts[:, 1] * num_entities + facts[:, end]
    members, num_answers = np.unique(keys, return_counts=True)
    relations, entities = np.divmod(members, num_entities)
    return Members(relations, entities, num_answers.astype(np.int64))


def count_reversed(facts: Triples, num_entities: int, num_relations: int) -> sparse.csr_array:
    """Count, for each two relations, the facts of the one whose reverse is one of the other.

    Loops are left out: they are their own reverse.

    Args:
        facts: Distinct. Shape: (num_facts, 3).
        num_entities: Of the graph.
        num_relations: Of the graph.

    Returns:
        Shape: (num_relations, num_relations).
    """
    heads, relations, tails = facts[facts[:, 0] != facts[:, 2]].T
    keys = np.minimum(heads, tails) * num_entities + np.maximum(heads, tails)
    pairs, places = np.unique(keys, return_inverse=True)
    one_way, other_way = (
        sparse.csr_array(
            (np.ones(np.count_nonzero(way), np.int64), (places[way], relations[way])),
            shape=(len(pairs), num_relations),
        )
        for way in (heads < tails, heads > tails)
    )
    found = one_way.T @ other_way
    return (found + found.T).tocsr()
