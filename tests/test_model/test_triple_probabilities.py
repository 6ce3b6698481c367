"""How probable triples are, against the definition entry by entry on a small drawn graph."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_probabilities import (
    known_triples,
    plain_by_question,
    plain_features,
)
from random_scoring import random_scoring

from model.inputs import with_inverses
from model.probability.triple_probabilities import (
    CONTRADICTING,
    LEAST,
    Unanswered,
    features_of_sides,
)
from storage.datasets.graph import Graph
from storage.datasets.relation_types.stated import relation_types
from storage.datasets.relation_types.statement import StatedRelationType

NUM_ENTITIES, SIZE = 12, 3
MANY, SINGLE, SINGLE_HEAD = range(3)
IS_SINGLE = {SINGLE, SINGLE_HEAD + SIZE}


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Relation 1 has one tail of each head, relation 2 one head of each tail."""
    generator = np.random.default_rng(0)
    many = generator.integers([NUM_ENTITIES, 1, NUM_ENTITIES], size=(30, 3))
    single = np.array([[head, SINGLE, (3 * head + 1) % 12] for head in range(7)])
    single_head = np.array([[tail % 4, SINGLE_HEAD, tail] for tail in range(4, 10)])
    triples = generator.permutation(np.concatenate([many, single, single_head]))
    ids = tuple(map(str, range(NUM_ENTITIES)))
    negatives = np.array([[8, SINGLE, 3], [0, MANY, 9], [1, SINGLE_HEAD, 11]])
    return Graph(
        ids,
        ids,
        ("many", "single", "single head"),
        triples[:-8],
        triples[-8:-4],
        triples[-4:],
        negatives,
    )


def asked_of(graph: Graph, **reflexive: bool) -> Unanswered:
    stated = {
        "many": StatedRelationType(**reflexive),
        "single": StatedRelationType(single=True),
        "single head": StatedRelationType(single_head=True),
    }
    scoring = random_scoring(NUM_ENTITIES, SIZE)
    scoring = replace(scoring, block_weights=scoring.block_weights * 0.2)
    return Unanswered.of(scoring, graph, relation_types(graph, stated), 0.25)


@pytest.fixture(scope="module")
def unanswered(graph: Graph) -> Unanswered:
    return asked_of(graph)


def all_rows(unanswered: Unanswered, question: int) -> torch.Tensor:
    """Return the probability of every answer of every entity. Shape: (E, E)."""
    entities = torch.arange(NUM_ENTITIES)
    questions = torch.full_like(entities, question)
    scores = unanswered.scoring.scores(entities, questions)
    return unanswered.by_question(entities, questions, scores)


@pytest.fixture(scope="module")
def tables(unanswered: Unanswered) -> torch.Tensor:
    """Probabilities by each question alone. Shape: (2R, E, E)."""
    return torch.stack([all_rows(unanswered, question) for question in range(2 * SIZE)])


def all_triples() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return every entity, question and answer, in an order that is none."""
    everything = torch.cartesian_prod(
        torch.arange(NUM_ENTITIES), torch.arange(2 * SIZE), torch.arange(NUM_ENTITIES)
    )
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))
    return everything[order].unbind(1)


def test_by_question_is_the_definition(
    graph: Graph, unanswered: Unanswered, tables: torch.Tensor
) -> None:
    expected = plain_by_question(unanswered, graph, IS_SINGLE)
    np.testing.assert_allclose(tables, expected, rtol=1e-4, atol=1e-12)


def test_what_is_known_or_wrong_or_itself_is_no_new_answer(
    graph: Graph, tables: torch.Tensor
) -> None:
    stated = np.concatenate([sorted(known_triples(graph)), graph.negatives])
    entities, questions, answers = with_inverses(stated, SIZE).T
    assert not tables[questions, entities, answers].any()
    assert not tables.diagonal(dim1=1, dim2=2).any()


def test_an_entity_answers_itself_where_the_relation_is_reflexive(graph: Graph) -> None:
    unanswered = asked_of(graph, reflexive=True)
    known = {(head, tail) for head, relation, tail in known_triples(graph) if relation == MANY}
    for question in (MANY, MANY + SIZE):
        loops = all_rows(unanswered, question).diagonal() > 0
        assert loops.tolist() == [(row, row) not in known for row in range(NUM_ENTITIES)]
    assert not all_rows(unanswered, SINGLE).diagonal().any()


def test_who_has_the_only_answer_is_behind_all_others(tables: torch.Tensor) -> None:
    """Heads 0 to 6 have their tail, so for whom a tail is asked they are the last."""
    for rows in (tables[SINGLE + SIZE], tables[SINGLE_HEAD, :, [*range(4, 10), *range(4)]]):
        assert rows.max() > CONTRADICTING
    has_tail = tables[SINGLE + SIZE][:, :7]
    assert has_tail.max() <= CONTRADICTING
    assert ((has_tail > 0) | (tables[SINGLE + SIZE][:, :7] == 0)).all()
    assert tables[SINGLE_HEAD][:, 4:10].max() <= CONTRADICTING
    assert tables[SINGLE][:7].max() <= CONTRADICTING * (1 + 1e-6), "asked of those heads, too"
    assert tables[SINGLE_HEAD + SIZE][4:10].max() <= CONTRADICTING * (1 + 1e-6)


def test_rows_sum_to_the_number_that_is_expected_at_most(
    unanswered: Unanswered, tables: torch.Tensor
) -> None:
    entities = torch.arange(NUM_ENTITIES)
    for question, rows in enumerate(tables):
        further = unanswered.further.of(entities, torch.full_like(entities, question))
        assert (rows.max(1).values <= further.chance * (1 + 1e-9)).all()
        assert (rows.sum(1) <= further.number * (1 + 1e-6) + CONTRADICTING).all()


@pytest.mark.parametrize("rows_at_once", [1, 7, 512])
def test_of_triples_are_entries_of_the_rows(
    unanswered: Unanswered,
    tables: torch.Tensor,
    rows_at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = rows_at_once * NUM_ENTITIES
    monkeypatch.setattr("model.probability.triple_probabilities._NUMBERS_AT_ONCE", numbers)
    entities, questions, answers = all_triples()
    found = unanswered.of_triples(entities, questions, answers)
    torch.testing.assert_close(found, tables[questions, entities, answers], rtol=1e-4, atol=1e-15)


def test_features_are_those_of_both_questions_whichever_is_the_first() -> None:
    sides = torch.tensor([[[1.5, 3.0], [-1.0, 0.5]], [[-4.0, 2.0], [-4.0, -1.0]]]).double()
    one, other = sides.unbind(1)
    found = features_of_sides(one, other)
    expected = [[1, 1.5, -1.0, 1.5, 1.0, 3.0, 0.5], [1, -4.0, -4.0, 0, 0, 2.0, -1.0]]
    assert found.tolist() == expected
    assert [plain_features(*map(tuple, both)) for both in sides.tolist()] == expected
    assert torch.equal(features_of_sides(other, one), found)


def test_what_a_question_tells_of_an_answer_is_finite(unanswered: Unanswered) -> None:
    entities, questions, _ = all_triples()
    chance = unanswered.further.of(entities, questions).chance
    least = float(torch.tensor(LEAST, dtype=torch.double).logit())
    for probabilities, expected in ((torch.zeros_like(chance), least), (chance, None)):
        found = unanswered.side(entities, questions, probabilities)
        assert found.isfinite().all()
        assert expected is None or (found - expected).abs().max() < 1e-6


def test_an_entity_that_everything_excludes_has_no_answers(graph: Graph) -> None:
    """All answers but itself are known, so nothing is left; and nothing is NaN."""
    rows = np.array([[0, MANY, tail] for tail in range(NUM_ENTITIES)])
    full = replace(graph, train=np.concatenate([graph.train, rows]))
    found = all_rows(asked_of(full), MANY)
    assert not found[0].any()
    assert found.isfinite().all()
