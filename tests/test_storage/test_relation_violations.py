"""Facts against what is stated of relations."""

import numpy as np
import pytest

from storage.datasets.graph import Graph
from storage.datasets.relation_types.statement import RelationTypeError, StatedRelationType
from storage.datasets.relation_types.violations import Fact, Violation, find_violations, rows_of

ENTITIES = ("a", "b", "c", "d", "x")
TRAIN = [(0, 0, 1), (0, 0, 2), (3, 0, 1), (2, 0, 2), (4, 1, 0)]
TEST = [(0, 0, 2), (0, 1, 4)]


def graph() -> Graph:
    """Two relations, `r` and `q`; every entity is a letter but x, of no kind, and d, a digit."""
    train, test = (np.array(it, dtype=np.int64) for it in (TRAIN, TEST))
    kinds = (("letter",), ("letter",), ("letter",), ("digit", "sign"), ())
    return Graph(ENTITIES, ENTITIES, ("r", "q"), train, train[:0], test, kinds=kinds)


def found(**statements: object) -> list[Violation]:
    return find_violations(
        graph(), {name: StatedRelationType.model_validate(it) for name, it in statements.items()}
    )


def test_a_head_of_several_tails_violates_single_and_each_fact_says_where_it_stands() -> None:
    facts = (Fact("a", "b", ("train",)), Fact("a", "c", ("train", "test")))
    assert found(r={"single": True}) == [Violation("r", "single: true", facts)]
    assert found(q={"single": True}) == []


def test_a_tail_of_several_heads_violates_single_head() -> None:
    violations = found(r={"single_head": True})
    assert [[it.head for it in one.facts] for one in violations] == [["a", "d"], ["a", "c"]]


def test_a_loop_violates_reflexive_only_where_it_is_stated_to_be_false() -> None:
    assert [it.facts for it in found(r={"reflexive": False})] == [(Fact("c", "c", ("train",)),)]
    assert found(r={"reflexive": True, "symmetric": True, "single": False}) == []


@pytest.mark.parametrize(("kind", "heads"), [("letter", ["d"]), ("sign", ["a", "a", "c"])])
def test_a_head_of_other_kinds_violates_a_domain_and_one_of_no_kind_does_not(
    kind: str, heads: list[str]
) -> None:
    assert [it.facts[0].head for it in found(r={"domain": [kind]}, q={"domain": ["letter"]})] == (
        heads
    )


def test_a_tail_of_other_kinds_violates_a_range() -> None:
    assert found(r={"range": ["letter", "digit"]}) == []
    assert len(found(r={"range": ["digit"]})) == 4


def test_a_relation_that_is_not_there_is_refused() -> None:
    with pytest.raises(RelationTypeError, match="found 's'"):
        found(s={"single": True})


def test_rows_show_three_facts_and_how_many_more_there_are() -> None:
    facts = tuple(Fact("a", tail, ("train",)) for tail in "bcdx")
    ((_, _, shown),) = rows_of([Violation("r", "single: true", facts)])
    assert shown == "a -> b (train); a -> c (train); a -> d (train); and 1 more"
