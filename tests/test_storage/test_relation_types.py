"""What relations are like: planted graphs, few facts, noise, and what is stated."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.datasets.graph import Graph
from storage.datasets.relation_types.learning import learn_relation_types
from storage.datasets.relation_types.relation_type import (
    RelationEvidence,
    RelationSide,
    RelationType,
    is_single,
)
from storage.datasets.relation_types.stated import relation_types
from storage.datasets.relation_types.statement import RelationTypeError, StatedRelationType

Pair = tuple[str, str]


def graph_of(
    facts: Mapping[str, Iterable[Pair]],
    kinds: Mapping[str, Sequence[str]] | None = None,
    doubtful: Mapping[str, Iterable[Pair]] | None = None,
) -> Graph:
    """A graph of facts by relation, spread over the splits; doubtful ones are of confidence 0.4."""
    doubted = {relation: list(pairs) for relation, pairs in (doubtful or {}).items()}
    listed = {relation: [*pairs, *doubted.get(relation, ())] for relation, pairs in facts.items()}
    ids = sorted({it for pairs in listed.values() for pair in pairs for it in pair})
    row = {entity: place for place, entity in enumerate(ids)}
    relations = tuple(listed)

    def triples(of: Mapping[str, Iterable[Pair]]) -> np.ndarray:
        found = [
            (row[head], relations.index(relation), row[tail])
            for relation, pairs in of.items()
            for head, tail in pairs
        ]
        return np.array(found, dtype=np.int64).reshape(-1, 3)

    every, uncertain = triples(listed), triples(doubted)
    return Graph(
        tuple(ids),
        tuple(ids),
        relations,
        every[0::3],
        every[1::3],
        every[2::3],
        kinds=tuple(tuple(kinds.get(it, ())) for it in ids) if kinds else (),
        uncertain=uncertain,
        confidences=np.full(len(uncertain), 0.4, dtype=np.float32),
    )


def learned(facts: Mapping[str, Iterable[Pair]], **more: object) -> dict[str, RelationType]:
    types = learn_relation_types(graph_of(facts, **more))  # type: ignore[arg-type]
    return {it.relation: it for it in types}


def countries(number: int, relation: str = "") -> list[Pair]:
    """One fact for each country, with a tail of its own."""
    return [(f"country{it}", f"{relation}{it}") for it in range(number)]


def ring(number: int, step: int = 1) -> list[Pair]:
    """Each thing with another one of the same things."""
    return [(f"thing{it}", f"thing{(it + step) % number}") for it in range(number)]


@pytest.mark.parametrize(("number", "expected"), [(2, "unknown"), (17, "unknown"), (18, "single")])
def test_a_relation_is_single_only_where_luck_is_not_credible(number: int, expected: str) -> None:
    found = learned({"capital": countries(number)})["capital"]
    assert (found.tails_per_head, found.heads_per_tail) == (expected, expected)


@pytest.mark.parametrize(("exceptions", "expected"), [(30, "single"), (31, "few"), (100, "few")])
def test_a_few_exceptions_among_many_are_noise(exceptions: int, expected: str) -> None:
    several = [(f"country{it}", "another") for it in range(exceptions)]
    found = learned({"capital": [*countries(1000), *several]})["capital"]
    assert found.tails_per_head == expected
    assert found.evidence.heads_with_several == exceptions


def test_one_exception_among_twenty_leaves_open_what_a_relation_is() -> None:
    found = learned({"capital": [*countries(20), ("country0", "another")]})["capital"]
    assert found.tails_per_head == "unknown"


def test_ten_answers_in_the_mean_are_few_and_eleven_are_many() -> None:
    speaks = {
        name: [(f"{name}{it}", f"language{it % 4}") for it in range(4 * number)]
        for name, number in (("few", 10), ("many", 11))
    }
    found = learned(speaks)
    assert [found[it].heads_per_tail for it in speaks] == ["few", "many"]


def test_what_the_dataset_itself_doubts_counts_for_nothing() -> None:
    doubted = {"capital": [(f"country{it}", "another") for it in range(30)]}
    found = learned({"capital": countries(30)}, doubtful=doubted)["capital"]
    assert (found.tails_per_head, found.evidence.num_facts) == ("single", 30)


def test_a_fact_that_stands_in_two_splits_counts_once() -> None:
    twice = [pair for pair in countries(20) for _ in range(2)]
    found = learned({"capital": twice})["capital"]
    assert (found.evidence.num_facts, found.tails_per_head) == (20, "single")


def test_a_relation_most_of_whose_pairs_stand_both_ways_is_symmetric() -> None:
    pairs = ring(40)
    reverse = [(tail, head) for head, tail in pairs]
    found = learned({"all": [*pairs, *reverse], "most": [*pairs, *reverse[:28]], "next": pairs})
    assert [it.symmetric for it in found.values()] == [True, True, False]
    assert found["most"].evidence.pairs_both_ways == 28
    assert found["most"].evidence.num_pairs == 40


def test_two_pairs_do_not_tell_whether_a_relation_is_symmetric() -> None:
    pairs = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
    found = learned({"both": pairs, "one": pairs[:1]})
    assert [it.symmetric for it in found.values()] == [None, None]


def test_loops_tell_whether_a_relation_is_reflexive() -> None:
    loops = [(f"thing{it}", f"thing{it}") for it in range(20)]
    found = learned(
        {"like": [*ring(20), *loops], "next": ring(20), "some": [*ring(20), *loops[:4]]}
    )
    assert [it.reflexive for it in found.values()] == [True, False, None]
    assert found["like"].symmetric is False


def test_the_inverse_of_a_relation_has_its_facts_reversed() -> None:
    parents = ring(20)
    children = [(tail, head) for head, tail in parents]
    facts = {"parent": parents, "child": children[:18], "part": children[:5], "far": ring(20, 7)}
    found = learned(facts)
    assert [it.inverse_of for it in found.values()] == ["child", "parent", None, None]


def test_kinds_say_what_heads_and_tails_are_and_the_narrowest_are_named() -> None:
    owns = [(f"{'person' if it % 2 else 'company'}{it}", f"car{it}") for it in range(40)]
    kinds = {head: ("agent", head.rstrip("0123456789")) for head, _ in owns}
    kinds |= {tail: ("car", "thing") for _, tail in owns[1:]} | {f"boat{it}": () for it in range(9)}
    kinds |= {"ship": ("thing",)}
    facts = {"owns": owns, "next_to": [("ship", "car0"), ("ship", "car1")]}
    found = learned(facts, kinds=kinds)
    assert (found["owns"].domain, found["owns"].range) == (("agent",), ("car",))
    assert found["next_to"].domain == ()


def test_two_kinds_may_cover_a_side_together() -> None:
    owns = [(f"{'person' if it % 2 else 'company'}{it}", f"car{it}") for it in range(40)]
    kinds = {head: (head.rstrip("0123456789"),) for head, _ in owns}
    assert set(learned({"owns": owns}, kinds=kinds)["owns"].domain) == {"person", "company"}


def test_where_no_kinds_are_stated_other_facts_say_what_members_are() -> None:
    people = [(f"person{it}", "something") for it in range(300)]
    facts = {
        "capital": countries(30, "town"),
        "population": [(f"country{it}", f"number{it % 7}") for it in range(32)],
        "likes": [*people, *((f"country{it}", "something") for it in range(30))],
    }
    found = learned(facts)["capital"]
    assert found.heads_are == (RelationSide("population", "head"),)
    assert found.tails_are == ()
    assert str(found.heads_are[0]) == "heads of population"


def test_a_side_of_thousands_is_judged_by_a_sample_of_its_members() -> None:
    facts = {"capital": countries(5000, "town"), "population": countries(5001, "number")}
    facts["likes"] = [(f"person{it}", "something") for it in range(9000)]
    kinds = {f"country{it}": ("country" if it % 50 else "state",) for it in range(5000)}
    found = learned(facts, kinds=kinds)["capital"]
    assert found.domain == ("country",)
    assert found.heads_are == (RelationSide("population", "head"),)


names = st.integers(0, 4).map(str)


@given(st.sets(st.tuples(names, st.sampled_from(["r", "q"]), names)))
def test_counts_are_those_of_plain_sets(facts: set[tuple[str, str, str]]) -> None:
    by_relation: dict[str, set[Pair]] = {"r": set(), "q": set()}
    for head, relation, tail in facts:
        by_relation[relation].add((head, tail))
    for relation, found in learned(by_relation).items():
        pairs = by_relation[relation]
        heads, tails = (Counter(pair[end] for pair in pairs) for end in (0, 1))
        unordered = {frozenset(it) for it in pairs if it[0] != it[1]}
        assert found.evidence == RelationEvidence(
            num_facts=len(pairs),
            num_heads=len(heads),
            num_tails=len(tails),
            heads_with_several=sum(it > 1 for it in heads.values()),
            tails_with_several=sum(it > 1 for it in tails.values()),
            num_pairs=len(unordered),
            pairs_both_ways=sum(it[0] < it[1] and it[::-1] in pairs for it in pairs),
            num_loops=sum(head == tail for head, tail in pairs),
        )


def test_a_graph_without_facts_says_nothing() -> None:
    graph = graph_of({"capital": []})
    (found,) = learn_relation_types(graph)
    assert (found.tails_per_head, found.symmetric, found.reflexive) == ("unknown", None, None)


def test_is_single_has_heads_first_and_then_tails() -> None:
    facts = {
        "in": [(f"city{it}", f"country{it % 9}") for it in range(90)],
        "capital": countries(20),
    }
    types = learn_relation_types(graph_of(facts))
    assert is_single(types).tolist() == [True, True, False, True]


def test_what_is_stated_goes_before_what_is_learned() -> None:
    graph = graph_of({"capital": countries(2), "capital_of": countries(40), "in": countries(40)})
    stated = {
        "capital": StatedRelationType(single=True, symmetric=False, inverse_of="capital_of"),
        "in": StatedRelationType(single=False),
    }
    capital, capital_of, within = relation_types(graph, stated)
    assert capital.tails_per_head == "single"
    assert capital.is_stated("tails_per_head")
    assert not capital.is_stated("heads_per_tail")
    assert capital.symmetric is False
    assert (capital_of.inverse_of, capital_of.stated) == ("capital", {"inverse_of"})
    assert (within.tails_per_head, within.heads_per_tail) == ("few", "single")


def test_without_statements_all_is_learned() -> None:
    graph = graph_of({"capital": countries(20)})
    assert relation_types(graph, {}) == learn_relation_types(graph)


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"capitel": {}}, "'relation_types': found 'capitel' (did you mean 'capital'?)"),
        ({"capital": {"inverse_of": "inn"}}, "'relation_types.capital.inverse_of': found 'inn'"),
        ({"capital": {"inverse_of": "capital"}}, "allowed: other relations of the dataset: 'in'"),
        ({"capital": {"domain": ["state"]}}, "'state'; allowed: kinds of its entities: none here"),
    ],
)
def test_a_statement_about_what_is_not_there_is_refused(
    stated: Mapping[str, Mapping[str, object]], found: str
) -> None:
    graph = graph_of({"capital": countries(3), "in": countries(3)})
    statements = {name: StatedRelationType.model_validate(it) for name, it in stated.items()}
    with pytest.raises(RelationTypeError) as raised:
        relation_types(graph, statements)
    assert found in str(raised.value)
