"""Mining rules: of all walks between the ends of training facts, those that tell the fact.

A rule r(x, y) <- b1(x, u), b2(u, v), b3(v, y) is believed as far as its confidence goes: of all
pairs that its body joins, the share that its head joins, too. Bodies of up to three relations are
found by walking between the ends of facts, as AnyBURL does (Meilicke et al., "Anytime Bottom-Up
Rule Learning for Knowledge Graph Completion", IJCAI 2019); as there, the entities of such a walk
are all different, so that no fact explains itself.

Shapes: n rules, L relations of the longest body, R relations (inverses included).
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.rules.walks import Body, Walks
from storage.datasets.graph import Triples

MAX_FACTS = 2000
"""Facts of a relation between whose ends is walked; of more, a sample."""
MAX_NEIGHBOURS = 50
"""Neighbours of either end that a walk of three steps goes through; of more, a sample."""
MAX_STARTS = 1000
"""Entities from which the pairs that a body joins are counted; of more, a sample."""
MAX_PAIRS = 2**26
"""Pairs counted at most: fewer entities to start from where there are many to be reached."""
MAX_COUNTED = 800
"""Bodies of a relation whose pairs are counted, those that join the most facts."""
MAX_KEPT = 400
"""Rules kept of a relation, the most confident ones."""
PRIOR_PAIRS = 5
"""Pairs that every body is taken to join besides, wrongly: few facts are little evidence."""


@dataclass(frozen=True)
class Rules:
    """Rules, those of a relation together, and those of its bodies that begin alike.

    Attributes:
        heads: The relation that each implies. Shape: (n,).
        bodies: Relations walked one after another; -1 where a body is shorter. Shape: (n, L).
        confidences: Between 0 and 1. Shape: (n,).
    """

    heads: NDArray[np.int64]
    bodies: NDArray[np.int64]
    confidences: NDArray[np.float32]

    def of(self, relation: int) -> Iterator[tuple[Body, float]]:
        """Yield bodies and confidences of the rules that imply a relation."""
        rows = self.rows(relation)
        confidences = self.confidences[rows.start : rows.stop].tolist()
        yield from zip(map(self.body, rows), confidences, strict=True)

    def rows(self, relation: int) -> range:
        """Return the rows of the rules that imply a relation."""
        return range(*np.searchsorted(self.heads, (relation, relation + 1)).tolist())

    def body(self, row: int) -> Body:
        """Return the body of a rule."""
        body = self.bodies[row]
        return tuple(body[body >= 0].tolist())


class _Rule(NamedTuple):
    head: int
    body: Body
    confidence: float


def mine_rules(walks: Walks, longest: int) -> Rules:
    """Mine the rules of a graph, from a fixed seed where there is too much to look at.

    Args:
        walks: The training triples with their inverses.
        longest: Relations of the longest body, 1 to 3.
    """
    miner = _Miner(walks, longest)
    rules: list[_Rule] = []
    for relation in range(walks.num_relations // 2):
        found = miner.rules_of(relation, walks.edges[walks.edges[:, 1] == relation])
        rules += [*found, *(_turned(rule, walks.num_relations) for rule in found)]
    rules.sort()
    bodies = [rule.body + (-1,) * (longest - len(rule.body)) for rule in rules]
    return Rules(
        np.array([rule.head for rule in rules], dtype=np.int64),
        np.array(bodies, dtype=np.int64).reshape(-1, longest),
        np.array([rule.confidence for rule in rules], dtype=np.float32),
    )


class _Miner:
    """Looks for rules, one relation after another."""

    def __init__(self, walks: Walks, longest: int) -> None:
        self._walks, self._longest = walks, longest
        self._generator = np.random.default_rng(0)
        self._joined: dict[Body, float] = {}
        self._beside: list[dict[int, list[int]]] = [{} for _ in range(walks.num_entities)]
        for head, relation, tail in walks.edges.tolist():
            self._beside[head].setdefault(tail, []).append(relation)

    def rules_of(self, relation: int, facts: Triples) -> list[_Rule]:
        """Return the rules that imply a relation, given its facts."""
        sample = self._some(facts, MAX_FACTS)
        support: Counter[Body] = Counter()
        for head, _, tail in sample.tolist():
            support.update(set(self._bodies(relation, head, tail)))
        share = len(sample) / max(1, len(facts))
        rules = [
            _Rule(relation, body, min(1.0, count / share / (self._pairs(body) + PRIOR_PAIRS)))
            for body, count in support.most_common(MAX_COUNTED)
        ]
        return nlargest(MAX_KEPT, rules, key=lambda rule: (rule.confidence, rule.body))

    def _bodies(self, relation: int, head: int, tail: int) -> Iterator[Body]:
        """Yield the bodies that join the ends of a fact, by walks through other entities."""
        after, before = self._beside[head], self._beside[tail]
        yield from ((other,) for other in after[tail] if other != relation)
        if self._longest < 2:
            return
        for middle in (after.keys() & before.keys()) - {head, tail}:
            for last in before[middle]:
                yield from ((first, self._back(last)) for first in after[middle])
        if self._longest > 2:
            yield from self._long_bodies(head, tail)

    def _long_bodies(self, head: int, tail: int) -> Iterator[Body]:
        ends = {head, tail}
        near_tail = set(self._neighbours(tail, ends))
        for first in self._neighbours(head, ends):
            for second in (self._beside[first].keys() & near_tail) - {first}:
                yield from self._through(head, first, second, tail)

    def _through(self, head: int, first: int, second: int, tail: int) -> Iterator[Body]:
        for one in self._beside[head][first]:
            for two in self._beside[first][second]:
                for three in self._beside[tail][second]:
                    yield one, two, self._back(three)

    def _pairs(self, body: Body) -> float:
        """Count the pairs that a body joins; about, where it begins at too many entities."""
        if body not in self._joined:
            starts = self._walks.starts_of(body[0])
            sample = self._some(starts, min(MAX_STARTS, 1 + MAX_PAIRS // self._walks.num_entities))
            joined = self._walks.walk_from(sample).along(body).nnz
            self._joined[body] = joined * len(starts) / len(sample)
        return self._joined[body]

    def _neighbours(self, entity: int, besides: Collection[int]) -> Collection[int]:
        neighbours = np.fromiter(self._beside[entity].keys() - besides, dtype=np.int64)
        some: list[int] = self._some(neighbours, MAX_NEIGHBOURS).tolist()
        return some

    def _back(self, relation: int) -> int:
        return inverse_of(relation, self._walks.num_relations)

    def _some(self, rows: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
        """Draw so many rows; all of them, if there are no more."""
        if len(rows) <= limit:
            return rows
        return rows[self._generator.permutation(len(rows))[:limit]]


def inverse_of(relation: int, num_relations: int) -> int:
    """The relation that leads back; R counts inverses."""
    return (relation + num_relations // 2) % num_relations


def _turned(rule: _Rule, num_relations: int) -> _Rule:
    """The same rule, asked from the other end: it joins the same pairs."""
    back = tuple(inverse_of(relation, num_relations) for relation in reversed(rule.body))
    return _Rule(inverse_of(rule.head, num_relations), back, rule.confidence)
