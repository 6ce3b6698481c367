"""Deals the truth about things out: to train on, to select on, to report on, and to guess."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from extractors.sample.facts import Triple

VALID_RATE = 0.1
TEST_RATE = 0.1

UNSTATED_RATE = 0.05
"""Share of the facts that no split states: the gaps that a prediction is to fill."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Facts by what they are for; no fact is in two lists.

    Attributes:
        train: To learn from.
        valid: To select on.
        test: To report on; it alone has the facts of unseen things.
        unstated: True, and in no split.
    """

    train: list[Triple]
    valid: list[Triple]
    test: list[Triple]
    unstated: list[Triple]


def deal(
    facts: Mapping[str, Sequence[Triple]], unseen: Collection[str], rng: np.random.Generator
) -> Splits:
    """Deal facts out relation by relation, so that every split has every relation.

    Args:
        facts: Triples by relation, each with the thing it is about as its head.
        unseen: Ids of the things whose facts all go to test.
        rng: Source of chance.
    """
    anchors = _one_fact_of_each_head(chain.from_iterable(facts.values()), rng)
    splits = Splits([], [], [], [])
    for triples in facts.values():
        test = [triple for triple in triples if triple[0] in unseen]
        free = [t for t in triples if t[0] not in unseen and t not in anchors]
        deck = iter([free[row] for row in rng.permutation(len(free))])
        num_test = max(1, round(TEST_RATE * len(triples)) - len(test))
        splits.test.extend([*test, *islice(deck, num_test)])
        splits.valid.extend(islice(deck, max(1, round(VALID_RATE * len(triples)))))
        splits.unstated.extend(islice(deck, round(UNSTATED_RATE * len(triples))))
        splits.train.extend([*deck, *(t for t in triples if t in anchors and t[0] not in unseen)])
    return splits


def _one_fact_of_each_head(triples: Iterable[Triple], rng: np.random.Generator) -> set[Triple]:
    """Choose the fact of each thing that stays in training, so that no other thing is unseen."""
    by_head: dict[str, list[Triple]] = {}
    for triple in triples:
        by_head.setdefault(triple[0], []).append(triple)
    return {about[rng.integers(len(about))] for about in by_head.values()}
