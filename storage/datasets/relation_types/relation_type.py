"""What a relation is like: how many answers it gives, what it relates, which others it mirrors."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

NumAnswers = Literal["single", "few", "many", "unknown"]
"""Answers of one question: at most one; up to ten in the mean; more; too few facts to tell."""

Property = Literal[
    "tails_per_head",
    "heads_per_tail",
    "symmetric",
    "reflexive",
    "inverse_of",
    "domain",
    "range",
]
"""What may be stated of a relation: a field of `RelationType`."""


class RelationSide(NamedTuple):
    """One end of a relation's facts.

    Attributes:
        relation: Id.
        end: The heads of its facts, or their tails.
    """

    relation: str
    end: Literal["head", "tail"]

    def __str__(self) -> str:
        """Return `heads of R` or `tails of R`."""
        return f"{self.end}s of {self.relation}"


@dataclass(frozen=True)
class RelationEvidence:
    """Counts that a relation's type is learned from; a triple counts once.

    Attributes:
        num_facts: Distinct triples.
        num_heads: Entities that are head of one.
        num_tails: Entities that are tail of one.
        heads_with_several: Heads with more than one tail.
        tails_with_several: Tails with more than one head.
        num_pairs: Unordered pairs of two entities that a triple relates.
        pairs_both_ways: Those of them that triples relate both ways.
        num_loops: Triples whose head is their tail.
    """

    num_facts: int
    num_heads: int
    num_tails: int
    heads_with_several: int
    tails_with_several: int
    num_pairs: int
    pairs_both_ways: int
    num_loops: int

    @property
    def mean_tails(self) -> float:
        """Tails of a head, in the mean of the heads; 0 if there are none."""
        return self.num_facts / max(1, self.num_heads)

    @property
    def mean_heads(self) -> float:
        """Heads of a tail, in the mean of the tails; 0 if there are none."""
        return self.num_facts / max(1, self.num_tails)


@dataclass(frozen=True)
class RelationType:
    """What a relation is like. None and empty tuples: unknown, or no such thing.

    Attributes:
        relation: Id.
        tails_per_head: How many tails a head has.
        heads_per_tail: How many heads a tail has.
        symmetric: Whether the reverse of a fact is a fact, too.
        reflexive: Whether entities are related to themselves; False: no entity is.
        inverse_of: Relation whose facts are the reverse of this one's.
        domain: Kinds that the heads are of, each head of at least one.
        range: Kinds that the tails are of, each tail of at least one.
        heads_are: Sides that nearly all heads take part in, and few other entities.
        tails_are: Sides that nearly all tails take part in, and few other entities.
        evidence: The counts behind what is learned.
        stated: Fields that are stated; all others are learned.
    """

    relation: str
    tails_per_head: NumAnswers
    heads_per_tail: NumAnswers
    symmetric: bool | None
    reflexive: bool | None
    inverse_of: str | None
    domain: tuple[str, ...]
    range: tuple[str, ...]
    heads_are: tuple[RelationSide, ...]
    tails_are: tuple[RelationSide, ...]
    evidence: RelationEvidence
    stated: frozenset[Property] = frozenset()

    def is_stated(self, name: Property) -> bool:
        """Whether a field is stated, and not learned."""
        return name in self.stated

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        sides = {
            name: [side._asdict() for side in getattr(self, name)]
            for name in ("heads_are", "tails_are")
        }
        return {**asdict(self), **sides, "stated": sorted(self.stated)}


def is_single(types: Sequence[RelationType]) -> NDArray[np.bool_]:
    """Return which questions have one answer at most.

    Args:
        types: Of every relation, in the graph's order.

    Returns:
        Entry r: a head of relation r has one tail at most. Entry num_relations + r: a tail has one
        head at most. Shape: (2 * num_relations,).
    """
    answers = [
        *(it.tails_per_head for it in types),
        *(it.heads_per_tail for it in types),
    ]
    return np.array([number == "single" for number in answers], dtype=np.bool_)
