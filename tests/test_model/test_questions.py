"""Questions of every kind against answers to one question at a time."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_graph import World

from model.prediction.answers import Answer
from model.prediction.predictor import Predictor
from model.prediction.questions import AnswerLimits, Question
from model.probability.further_answers import WORTH_ASKING, FurtherAnswers
from model.runs.run_folder import RunFolder
from storage.datasets.graph import SPLITS
from storage.datasets.relation_types.relation_type import is_single
from storage.errors import MocmeError


@pytest.fixture(scope="module")
def predictor(finished_run: Path) -> Predictor:
    return Predictor(finished_run)


@pytest.fixture(scope="module")
def sides(world: World) -> list[dict[str, str]]:
    """Ends of facts, once as heads and once as tails."""
    ids, facts = world.graph.entities, world.graph.train[[0, 11, 40]].tolist()
    return [*({"head": ids[h]} for h, _, _ in facts), *({"tail": ids[t]} for _, _, t in facts)]


def triple(answer: Answer) -> tuple[str, str, str]:
    return answer.head, answer.relation, answer.tail


def known_triples(world: World) -> set[tuple[str, str, str]]:
    graph = world.graph
    everything = np.concatenate([graph.split(name) for name in SPLITS]).tolist()
    ids, relations = graph.entities, graph.relations
    return {(ids[h], relations[r], ids[t]) for h, r, t in everything}


def expected_of(predictor: Predictor, side: dict[str, str]) -> list[str]:
    """Relations by which an entity has answers, or may have."""
    graph, (end, entity) = predictor.graph, next(iter(side.items()))
    known = np.unique(np.concatenate([graph.split(name) for name in SPLITS]), axis=0)
    participation, types = predictor.scoring.calibration.participation, predictor.relation_types
    share = predictor.scoring.calibration.share_for_features
    further = FurtherAnswers(graph, known, participation, is_single(types), share)
    row, first = graph.entities.index(entity), 0 if end == "head" else graph.num_relations
    questions = torch.arange(first, first + graph.num_relations)
    chances = further.of(torch.full_like(questions, row), questions).chance
    answered = known[known[:, 0 if end == "head" else 2] == row, 1]
    return [
        name
        for place, name in enumerate(graph.relations)
        if place in answered or chances[place] >= WORTH_ASKING
    ]


class TestWithoutARelation:
    def test_answers_are_those_of_every_expected_relation(
        self, predictor: Predictor, world: World, sides: list[dict[str, str]]
    ) -> None:
        for side in sides:
            size = world.graph.num_entities
            relations = expected_of(predictor, side)
            assert relations
            apart = [
                answer
                for name in relations
                for answer in predictor.answers(**side, relation=name, k=size)
            ]
            found = predictor.answers(**side, k=size * len(relations))
            assert {triple(it) for it in found} == {triple(it) for it in apart}
            chances = [it.probability for it in found]
            assert chances == sorted(chances, reverse=True)
            by_triple = {triple(it): it for it in apart}
            for answer in found:
                alone = by_triple[triple(answer)]
                assert answer.probability == pytest.approx(alone.probability, rel=1e-4, abs=1e-9)
                assert answer.known == alone.known
            few = predictor.answers(**side, k=7)
            assert [triple(it) for it in few] == [triple(it) for it in found[:7]]

    def test_the_entity_is_where_it_was_asked_for(
        self, predictor: Predictor, sides: list[dict[str, str]]
    ) -> None:
        for side in sides:
            end, entity = next(iter(side.items()))
            for answer in predictor.answers(**side, k=5):
                assert getattr(answer, end) == entity
                assert answer.entity == (answer.tail if end == "head" else answer.head)

    def test_who_takes_part_in_nothing_has_no_expected_relation(
        self, finished_run: Path, world: World
    ) -> None:
        """Colours have no colour, shape or maker; nearly all is known, so none is to be found."""
        sure = Predictor(finished_run, missing_share=0.001)
        colour = world.graph.entities[world.graph.train[0, 2]]
        assert expected_of(sure, {"head": colour}) == []
        assert sure.answers(head=colour) == []
        assert sure.predict(head=colour).empty
        named = sure.answers(head=colour, relation=world.graph.relations[0], k=3)
        assert len(named) == 3


class TestLimits:
    def test_new_ones_are_the_first_that_are_not_known(
        self, predictor: Predictor, world: World, sides: list[dict[str, str]]
    ) -> None:
        known, size = known_triples(world), 10 * world.graph.num_entities
        for side in sides:
            (entity,) = side.values()
            answered = next(name for head, name, tail in known if entity in (head, tail))
            for relation in (None, answered):
                everything = predictor.answers(**side, relation=relation, k=size)
                missing = [triple(it) for it in everything if triple(it) not in known]
                assert len(missing) < len(everything)
                found = predictor.answers(**side, relation=relation, k=6, new=True)
                assert [triple(it) for it in found] == missing[:6]
                assert not any(it.known for it in found)

    def test_the_least_probability_is_allowed_and_less_is_not(
        self, predictor: Predictor, sides: list[dict[str, str]]
    ) -> None:
        for side in sides:
            everything = predictor.answers(**side, k=30)
            least = everything[9].probability
            found = predictor.answers(**side, k=30, min_probability=least)
            assert found == [it for it in everything if it.probability >= least]
            assert len(found) >= 10
            assert predictor.answers(**side, min_probability=1.0) == [
                it for it in everything[:10] if it.probability == 1
            ]

    @pytest.mark.parametrize("new", [False, True])
    def test_so_many_of_a_head_and_a_relation_and_still_k(
        self, predictor: Predictor, sides: list[dict[str, str]], new: bool
    ) -> None:
        for side in sides:
            everything = predictor.answers(**side, k=10_000, new=new)
            for most in (1, 2):
                taken: Counter[tuple[str, str]] = Counter()
                plain = []
                for answer in everything:
                    if taken[answer.head, answer.relation] < most:
                        taken[answer.head, answer.relation] += 1
                        plain.append(triple(answer))
                found = predictor.answers(**side, k=5, new=new, per_head=most)
                assert [triple(it) for it in found] == plain[:5]

    @pytest.mark.parametrize(
        "limits",
        [
            {"k": 0},
            {"min_probability": -0.1},
            {"min_probability": 1.01},
            {"min_probability": float("nan")},
            {"per_head": 0},
        ],
    )
    def test_out_of_bounds(self, predictor: Predictor, limits: dict[str, Any]) -> None:
        name = next(iter(limits))
        with pytest.raises(MocmeError, match=rf"found {name} .*; allowed: "):
            predictor.answers(head="entity-1", relation="has colour", **limits)
        with pytest.raises(MocmeError, match=rf"found {name} .*; allowed: "):
            AnswerLimits(**limits)


class TestManyQuestions:
    def questions(self, world: World, sides: list[dict[str, str]]) -> list[Question]:
        relations = world.graph.relations
        named = [Question(**side, relation=name) for name in relations for side in sides]
        return [*named, *(Question(**side) for side in sides), named[0], named[0]]

    @pytest.mark.parametrize("at_once", [1, 4, 4096])
    def test_are_answered_as_one_at_a_time(
        self,
        predictor: Predictor,
        world: World,
        sides: list[dict[str, str]],
        at_once: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("model.prediction.predictor._QUESTIONS_AT_ONCE", at_once)
        questions = self.questions(world, sides)
        limits: dict[str, Any] = {"k": 4, "new": True, "per_head": 2}
        answered = list(predictor.answers_to(iter(questions), **limits))
        assert [question for question, _ in answered] == questions
        for question, answers in answered:
            alone = predictor.answers(
                head=question.head, relation=question.relation, tail=question.tail, **limits
            )
            assert [triple(it) for it in answers] == [triple(it) for it in alone]
            for one, other in zip(answers, alone, strict=True):
                assert one.probability == pytest.approx(other.probability, rel=1e-4)
                assert one.modality_weights == pytest.approx(other.modality_weights, abs=1e-4)
                assert [it.head for it in one.nearest_facts] == [
                    it.head for it in other.nearest_facts
                ]

    def test_they_are_read_as_they_are_answered(
        self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("model.prediction.predictor._QUESTIONS_AT_ONCE", 2)
        num_read = 0

        def endless() -> Any:
            nonlocal num_read
            while True:
                num_read += 1
                yield Question(head="entity-1", relation="has colour")

        answered = predictor.answers_to(endless(), k=1)
        assert [len(answers) for _, answers in (next(answered), next(answered))] == [1, 1]
        assert num_read == 2

    def test_without_evidence_weights_remain(
        self, predictor: Predictor, sides: list[dict[str, str]]
    ) -> None:
        ((_, bare),) = predictor.answers_to([Question(**sides[0])], evidence=False)
        ((_, whole),) = predictor.answers_to([Question(**sides[0])])
        assert [it.modality_weights for it in bare] == [it.modality_weights for it in whole]
        assert all(it.nearest_facts == () and it.rule is None for it in bare)
        assert any(it.nearest_facts for it in whole)

    def test_none_have_no_answers(self, predictor: Predictor) -> None:
        assert list(predictor.answers_to([])) == []
        assert predictor.predict_many([]).empty

    def test_a_table_numbers_the_questions(
        self, predictor: Predictor, sides: list[dict[str, str]]
    ) -> None:
        questions = [Question(**side) for side in sides]
        found = predictor.predict_many(questions, k=3)
        assert found["question"].tolist() == [place for place in range(len(sides)) for _ in "abc"]
        assert list(found.columns[:5]) == ["question", "entity", "name", "probability", "known"]
        alone = predictor.predict(**sides[2], k=3)
        assert found[found["question"] == 2]["tail"].tolist() == alone["tail"].tolist()

    def test_a_bad_one_is_named_by_its_number(
        self, predictor: Predictor, sides: list[dict[str, str]]
    ) -> None:
        questions = [Question(**sides[0]), Question(head="entty-12")]
        with pytest.raises(MocmeError, match=r"^question 1: head: found 'entty-12'"):
            list(predictor.answers_to(questions))
        with pytest.raises(MocmeError, match=r"^question 0: found head None and tail None; "):
            list(predictor.answers_to([Question(relation="has colour")]))


class TestNegatives:
    @pytest.fixture(scope="class")
    def wrong(self, predictor: Predictor) -> list[tuple[str, str, str]]:
        """The best answers that the run gives, and the best triples that it predicts."""
        asked = [triple(it) for it in predictor.answers(head="entity-1", k=4)]
        predicted = [(it.head, it.relation, it.tail) for it in predictor.missing_triples(k=2)]
        return [*asked, *predicted]

    @pytest.fixture(scope="class")
    def careful(
        self,
        finished_run: Path,
        wrong: list[tuple[str, str, str]],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Predictor:
        """A run whose graph holds those as negatives."""
        graph = RunFolder(finished_run).read_graph()
        rows = [
            (graph.entities.index(h), graph.relations.index(r), graph.entities.index(t))
            for h, r, t in wrong
        ]
        folder = tmp_path_factory.mktemp("careful") / "run"
        RunFolder(folder).create(replace(graph, negatives=np.array(rows, dtype=np.int64)))
        RunFolder(finished_run).read_scoring().save(RunFolder(folder).scoring)
        RunFolder(folder).finish({})
        return Predictor(folder)

    def test_are_no_answers_whichever_side_is_asked_for(
        self, careful: Predictor, wrong: list[tuple[str, str, str]]
    ) -> None:
        size = careful.graph.num_entities
        for head, relation, tail in wrong:
            forth = careful.answers(head=head, relation=relation, k=size)
            assert tail not in {it.entity for it in forth}
            num_wrong = sum(it[:2] == (head, relation) for it in set(wrong))
            assert len(forth) == size - 1 - num_wrong, "all but the head itself"
            back = careful.answers(tail=tail, relation=relation, k=size)
            assert head not in {it.entity for it in back}
        assert not set(wrong) & {triple(it) for it in careful.answers(head="entity-1", k=size)}
        ((_, many),) = careful.answers_to([Question(head="entity-1")], k=size)
        assert not set(wrong) & {triple(it) for it in many}

    def test_are_not_predicted_and_others_are(
        self, careful: Predictor, predictor: Predictor, wrong: list[tuple[str, str, str]]
    ) -> None:
        for per_head in (None, 1):
            before, found = (
                [
                    (it.head, it.relation, it.tail)
                    for it in one.missing_triples(k=100, per_head=per_head)
                ]
                for one in (predictor, careful)
            )
            assert not set(wrong) & set(found)
            assert set(wrong) & set(before)
            for name in careful.graph.relations:
                first = [it for it in before if it[1] == name and it not in set(wrong)][:5]
                assert len(first) == 5
                assert per_head or set(first) <= set(found)


def test_an_entity_is_no_answer_to_itself(predictor: Predictor) -> None:
    graph = predictor.graph
    for row, relation, side in itertools.product(range(6), (0, 1), ("head", "tail")):
        asked = {side: graph.entities[row], "relation": graph.relations[relation]}
        for new in (False, True):
            found = predictor.answers(**asked, k=graph.num_entities, new=new)
            assert found
            assert graph.entities[row] not in {it.entity for it in found}
