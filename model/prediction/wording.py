"""Triples and rules as a person reads them: by names, in plain sentences."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from model.rules.walks import Body
from storage.datasets.graph import Graph
from storage.datasets.reading.openke import readable_name

_PREFIX = re.compile(r"^[A-Za-z][\w.-]*:(?=[^\s/:])")  # of a namespace, such as schema:birthPlace
_PATH = re.compile(r"^/.*/(?=.)")  # Freebase's, such as /people/person/nationality
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ONE_PERCENT = 0.01


class Wording:
    """Names the entities and relations of a graph.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @cached_property
    def _times_named(self) -> Counter[str]:
        return Counter(name.casefold() for name in self._graph.names)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {entity: row for row, entity in enumerate(self._graph.entities)}

    @cached_property
    def _relations(self) -> dict[str, str]:
        """What each relation reads as: its id where two would read alike."""
        readable = {relation: readable_relation(relation) for relation in self._graph.relations}
        times = Counter(readable.values())
        return {it: words if times[words] == 1 else it for it, words in readable.items()}

    def entity(self, entity: str) -> str:
        """Return the name of an entity, by its id; with the id, where others are called so too."""
        name = self._graph.names[self._rows[entity]]
        is_shared = self._times_named[name.casefold()] > 1 and name != entity
        return f"{name} ({entity})" if is_shared else name

    def relation(self, relation: str) -> str:
        """Return what a relation reads as, by its id."""
        return self._relations[relation]

    def fact(self, head: str, relation: str, tail: str) -> str:
        """Return a triple in words, by its ids."""
        return f"{self.entity(head)} {self.relation(relation)} {self.entity(tail)}"

    def rule(
        self, relation: int, body: Body, confidence: float, path: Sequence[int], num_paths: int
    ) -> str:
        """Return an applied rule as a sentence.

        Every step is told as the fact that it is, from head to tail, whichever way it was walked.
        Relations are in quotes: whether one is called `eats` or `language`, the sentence is one.

        Args:
            relation: Index of what the rule implies; inverses count as their relation.
            body: Of the rule.
            confidence: Of the rule.
            path: Rows of the entities along its body, both ends included.
            num_paths: How many such paths there are.
        """
        steps = zip(path[:-1], body, path[1:], strict=True)
        facts = _listed([self._step(*step) for step in steps])
        lead = "leads" if len(body) == 1 else "lead"
        others = f" (one of {num_paths} such paths)" if num_paths > 1 else ""
        implied = self._step(path[0], relation, path[-1])
        name = self.relation(self._graph.relations[relation % self._graph.num_relations])
        share = f'{_percent(confidence)} of pairs joined like this have "{name}"'
        return f"{facts}{others} {lead} to {implied}: {share}"

    def _step(self, start: int, relation: int, end: int) -> str:
        """Return a fact in words, its relation in quotes."""
        if relation >= self._graph.num_relations:
            return self._step(end, relation - self._graph.num_relations, start)
        ids, name = self._graph.entities, self.relation(self._graph.relations[relation])
        return f'{self.entity(ids[start])} "{name}" {self.entity(ids[end])}'


def readable_relation(relation: str) -> str:
    """Return what a person calls a relation, whatever its id is made of.

    `has_language`, `hasLanguage`, `HAS_LANGUAGE`, `schema:hasLanguage` and
    `<http://schema.org/hasLanguage>` are all `has language`; `P37` stays.
    """
    local = _PREFIX.sub("", _PATH.sub("", readable_name(relation)))
    words = " ".join(_without_humps(word) for word in local.split())
    is_shouted = words.isupper() and words.replace(" ", "").isalpha() and " " in words
    return (words.lower() if is_shouted else words) or relation


def _without_humps(word: str) -> str:
    """Return `has language` for `hasLanguage`; abbreviations in capitals stay as they are."""
    parts = _HUMP.split(word)
    if len(parts) == 1:
        return word
    return " ".join(part if len(part) > 1 and part.isupper() else part.lower() for part in parts)


def _listed(facts: Sequence[str]) -> str:
    """Return `a`, `a, and b`, or `a, b, and c`."""
    *before, last = facts
    return f"{', '.join(before)}, and {last}" if before else last


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= _ONE_PERCENT else "less than 1%"
