"""Predictions of a finished run: chances, marks, shares, and errors that help."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import BARE, STRANGER, World
from random_scoring import random_scoring
from small_training import SMALL_MODEL, model_config, train_config

from model import Predictor
from model.config import CONTENT, CONTEXT, NEIGHBOURS, STRUCTURE, ModelConfig
from model.prediction.answers import Answer
from model.prediction.both_questions import by_both_questions
from model.prediction.known_context import MOST_LISTED
from model.prediction.questions import Question
from model.probability.limited_sums import at_most_one_each
from model.probability.triple_probabilities import (
    WORTH_A_LOOK,
    Unanswered,
    features_of_sides,
)
from model.scoring.blocks import BlockScoring
from model.training.train import train
from storage.datasets.graph import SPLITS
from storage.errors import MocmeError

Questions = list[dict[str, str]]


@pytest.fixture(scope="module")
def predictor(finished_run: Path) -> Predictor:
    return Predictor(finished_run)


def questions(world: World) -> Questions:
    """Ask of both sides of some triples, and of entities that hardly anything is known of."""
    graph = world.graph
    triples = [*graph.test[:3].tolist(), *graph.train[:2].tolist()]
    ids, relations = graph.entities, graph.relations
    return [
        *({"head": ids[h], "relation": relations[r]} for h, r, _ in triples),
        *({"tail": ids[t], "relation": relations[r]} for _, r, t in triples),
        *({"head": ids[row], "relation": relations[1]} for row in (BARE, STRANGER)),
    ]


def known_answers_of(world: World, question: dict[str, str]) -> set[str]:
    """Return what the graph says, read off its splits."""
    ids, found = world.graph.entities, set()
    relation = world.graph.relations.index(question["relation"])
    for head, r, tail in np.concatenate([world.graph.split(split) for split in SPLITS]).tolist():
        if r == relation and question.get("head") == ids[head]:
            found.add(ids[tail])
        if r == relation and question.get("tail") == ids[tail]:
            found.add(ids[head])
    return found


def plain_probabilities(
    unanswered: Unanswered, asked: int, relation: int, rows: torch.Tensor, asks_for_heads: bool
) -> list[float]:
    """Return the probabilities of new answers, as the definition reads.

    All relations have one tail of each head.
    """
    size, entities = unanswered.further.num_questions // 2, torch.full_like(rows, asked)
    question = torch.full_like(rows, relation + size * asks_for_heads)
    with torch.inference_mode():
        by_question = unanswered.of_triples(entities, question, rows)
    side = unanswered.side(entities, question, by_question)
    lines = unanswered.scoring.calibration.lines
    found = lines.log_odds(features_of_sides(side, side), question % size).sigmoid()
    pairs = torch.stack([rows, entities] if asks_for_heads else [entities, rows], dim=1)
    likely = pairs[by_question >= WORTH_A_LOOK]
    with torch.inference_mode():
        by_both, all_pairs = by_both_questions(unanswered, relation, likely)
    for row in (by_question >= WORTH_A_LOOK).nonzero()[:, 0].tolist():
        found[row] = by_both[(all_pairs == pairs[row]).all(1)].item()
    single = torch.full((len(rows),), not asks_for_heads)
    limited: list[float] = at_most_one_each(found, entities[:, None], single).tolist()
    return limited


class TestAnswers:
    def everything(
        self, predictor: Predictor, world: World, question: dict[str, str]
    ) -> list[Answer]:
        return predictor.answers(**question, k=world.graph.num_entities)

    def test_probabilities_are_those_of_both_questions_and_fall(
        self, predictor: Predictor, world: World
    ) -> None:
        graph = world.graph
        unanswered = Unanswered.of(
            predictor.scoring,
            graph,
            predictor.relation_types,
            predictor.scoring.calibration.share_for_features,
        )
        for question in questions(world):
            answers = self.everything(predictor, world, question)
            rows = torch.tensor([graph.entities.index(it.entity) for it in answers if not it.known])
            asked = graph.entities.index(question.get("head") or question["tail"])
            expected = plain_probabilities(
                unanswered,
                asked,
                graph.relations.index(question["relation"]),
                rows,
                "tail" in question,
            )
            found = [answer.probability for answer in answers if not answer.known]
            assert found == pytest.approx(expected, rel=1e-3)
            assert found == sorted(found, reverse=True)
            assert len(answers) == graph.num_entities - 1, "all but the entity that is asked about"

    def test_known_answers_come_first_as_probable_as_the_dataset_says(
        self, finished_run: Path, world: World
    ) -> None:
        doubted = world.graph.train[:1]
        head, relation, tail = doubted[0].tolist()
        predictor = Predictor(finished_run)
        confidences = np.array([0.7], dtype=np.float32)
        predictor.graph = replace(predictor.graph, uncertain=doubted, confidences=confidences)
        ids, name = world.graph.entities, world.graph.relations[relation]
        forth = predictor.answers(head=ids[head], relation=name)
        assert [it.entity for it in forth if it.known] == [ids[tail]] == [forth[0].entity]
        assert forth[0].probability == pytest.approx(0.7)
        back = predictor.answers(tail=ids[tail], relation=name, k=world.graph.num_entities)
        known = [it for it in back if it.known]
        assert known == back[: len(known)]
        assert [it.probability for it in known] == [1.0] * (len(known) - 1) + [pytest.approx(0.7)]

    def test_what_contradicts_the_only_answer_says_so(
        self, predictor: Predictor, world: World
    ) -> None:
        """Things have one colour, one shape and one maker."""
        for question in questions(world):
            known = known_answers_of(world, question)
            for answer in self.everything(predictor, world, question):
                own = {"head": answer.head, "relation": answer.relation}
                (tail,) = known_answers_of(world, own) or {""}
                if not tail or answer.known:
                    assert answer.contradicts == ()
                else:
                    assert answer.contradicts == ((answer.head, answer.relation, tail),)
                    assert answer.probability < 1e-4
                assert set(answer.known_answers) <= known
                assert len(answer.known_answers) == min(len(known), MOST_LISTED)

    def test_the_names_are_the_entities(self, predictor: Predictor, world: World) -> None:
        names = dict(zip(world.graph.entities, world.graph.names, strict=True))
        answers = self.everything(predictor, world, questions(world)[0])
        assert all(names[answer.entity] == answer.name for answer in answers)

    def test_known_triples_of_all_splits_are_marked(
        self, predictor: Predictor, world: World
    ) -> None:
        for question in questions(world):
            answers = self.everything(predictor, world, question)
            marked = {answer.entity for answer in answers if answer.known}
            assert marked == known_answers_of(world, question)

    def test_k_answers_are_the_first_of_all(self, predictor: Predictor, world: World) -> None:
        question = questions(world)[0]
        everything = self.everything(predictor, world, question)
        three = [answer.entity for answer in predictor.answers(**question, k=3)]
        assert three == [answer.entity for answer in everything[:3]]
        assert len(predictor.answers(**question)) == 10
        more = predictor.answers(**question, k=world.graph.num_entities + 5)
        assert more == everything


def plain_block_scores(scoring: BlockScoring, head: int, relation: int) -> torch.Tensor:
    """Score all entities in every block. Shape: (num_blocks, E)."""
    rows = []
    for index, block in enumerate(scoring.blocks):
        query = block.scorer.query(block.entities[[head]], block.relations[[relation]])
        weight = scoring.block_weights[relation, index]
        rows.append(weight * block.scorer.score_all(query, block.entities)[0])
    return torch.stack(rows).detach()


class TestShares:
    def test_sum_to_1_and_are_not_negative(self, predictor: Predictor, world: World) -> None:
        for question in questions(world)[:-1]:  # the last is about who has no modality
            for answer in predictor.answers(**question, k=world.graph.num_entities):
                shares = answer.modality_weights
                assert list(shares) == ["image", "text", NEIGHBOURS, STRUCTURE, CONTENT]
                assert min(shares.values()) >= 0
                assert sum(shares.values()) == pytest.approx(1, abs=1e-5)

    def test_what_neither_side_has_gets_nothing(self, predictor: Predictor, world: World) -> None:
        bare, other = world.graph.entities[BARE], world.graph.entities[STRANGER]
        relation = world.graph.relations[0]
        answers = predictor.answers(head=bare, relation=relation, k=world.graph.num_entities)
        shares = next(a.modality_weights for a in answers if a.entity == other)
        assert shares["image"] == shares["text"] == 0

    @pytest.mark.parametrize("structure", [False, True])
    def test_of_a_run_without_the_other_block(
        self, world: World, tmp_path: Path, structure: bool
    ) -> None:
        tables = {} if structure else world.tables()
        train(
            world.graph, tables, model_config(structure=structure), train_config(epochs=1), tmp_path
        )
        answers = Predictor(tmp_path).answers(**questions(world)[0], k=20)
        for answer in answers:
            names = [STRUCTURE] if structure else ["image", "text", NEIGHBOURS, CONTENT]
            assert list(answer.modality_weights) == names
            assert sum(answer.modality_weights.values()) == pytest.approx(1)

    def test_follow_what_each_block_adds(self, world: World, finished_run: Path) -> None:
        """Without neighbours' weight, by the docstring's definition, on drawn embeddings."""
        predictor = Predictor(finished_run)
        scoring = random_scoring(world.graph.num_entities, world.graph.num_relations)
        predictor.scoring = scoring
        head, relation = 7, 1
        parts = plain_block_scores(scoring, head, relation)
        above = (parts - parts.mean(1, keepdim=True)).clamp_min(0)
        for answer in predictor.answers(
            head=world.graph.entities[head], relation=world.graph.relations[relation], k=20
        ):
            row = world.graph.entities.index(answer.entity)
            if float(above[:, row].sum()) == 0:
                continue
            structure = float(above[1, row] / above[:, row].sum())
            weights = scoring.modality_weights[[head, row]].mean(0)
            image = (1 - structure) * float(weights[0] / weights.sum())
            assert answer.modality_weights[STRUCTURE] == pytest.approx(structure, abs=1e-5)
            assert answer.modality_weights["image"] == pytest.approx(image, abs=1e-5)

    def test_of_experts_divide_their_modality_by_their_weights(
        self, world: World, finished_run: Path
    ) -> None:
        predictor = Predictor(finished_run)
        predictor.scoring = random_scoring(world.graph.num_entities, world.graph.num_relations)
        experts = predictor.scoring.blocks[0].experts
        for answer in predictor.answers(**questions(world)[0], k=20):
            assert list(answer.expert_weights) == ["image", "text"]
            for index, name in enumerate(("image", "text")):
                expected = [answer.modality_weights[name] * it for it in experts[index].tolist()]
                assert answer.expert_weights[name] == pytest.approx(expected, abs=1e-6)

    def test_of_experts_are_those_of_the_fusion(self, predictor: Predictor) -> None:
        answer = predictor.answers(head="entity-1", relation="has colour", k=1)[0]
        assert set(answer.expert_weights) == {"image", "text", NEIGHBOURS}
        for name, weights in answer.expert_weights.items():
            assert len(weights) == SMALL_MODEL.num_experts
            assert sum(weights) == pytest.approx(answer.modality_weights[name], abs=1e-6)
        assert f"expert_weight_image_{SMALL_MODEL.num_experts}" in answer.row()

    def test_where_neither_side_has_any_modality(self, world: World, finished_run: Path) -> None:
        predictor = Predictor(finished_run)
        scoring = random_scoring(world.graph.num_entities, world.graph.num_relations)
        content, structure = scoring.blocks
        silent = replace(content, shares=torch.zeros_like(content.shares))
        predictor.scoring = replace(scoring, blocks=[silent, structure])
        for answer in predictor.answers(**questions(world)[0], k=world.graph.num_entities):
            assert sum(answer.modality_weights.values()) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("name", [STRUCTURE, NEIGHBOURS, CONTEXT])
    def test_a_modality_cannot_be_called_as_a_part_of_the_model(
        self, world: World, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(MocmeError, match=name):
            train(
                world.graph,
                {name: world.tables()["text"]},
                SMALL_MODEL,
                train_config(epochs=1),
                tmp_path,
            )


class TestNearestFacts:
    def test_are_training_facts_of_the_relation(self, predictor: Predictor, world: World) -> None:
        graph = world.graph
        facts = set(map(tuple, graph.train.tolist()))
        for question in questions(world)[:-2]:
            for answer in predictor.answers(**question):
                relation = graph.relations.index(question["relation"])
                assert 0 < len(answer.nearest_facts) <= 3
                for fact in answer.nearest_facts:
                    head, tail = graph.entities.index(fact.head), graph.entities.index(fact.tail)
                    assert (head, relation, tail) in facts
                    assert (graph.names[head], graph.names[tail]) == (
                        fact.head_name,
                        fact.tail_name,
                    )
                    asked = {question.get("head", fact.head), question.get("tail", fact.tail)}
                    assert {fact.head, fact.tail} != asked | {answer.entity}

    def test_of_a_head_that_was_asked_for_are_those_of_the_same_triple(
        self, predictor: Predictor, world: World
    ) -> None:
        """Whichever side is asked for, the same facts are like a triple, by and large."""
        graph = world.graph
        head, relation, tail = graph.test[0].tolist()
        ids, k = graph.entities, graph.num_entities
        forth = predictor.answers(head=ids[head], relation=graph.relations[relation], k=k)
        back = predictor.answers(tail=ids[tail], relation=graph.relations[relation], k=k)
        of_tail = next(it.nearest_facts for it in forth if it.entity == ids[tail])
        of_head = next(it.nearest_facts for it in back if it.entity == ids[head])
        assert of_tail == of_head

    def test_a_predicted_triple_tells_the_nearest(self, predictor: Predictor) -> None:
        found = next(predictor.missing_triples(["has colour"], k=1))
        answers = predictor.answers(head=found.head, relation="has colour", k=30)
        same = next(it for it in answers if it.entity == found.tail)
        nearest = found.nearest_facts[0]
        assert nearest.similarity == pytest.approx(same.nearest_facts[0].similarity)
        assert replace(same.nearest_facts[0], similarity=nearest.similarity) == nearest
        row = found.row()
        assert row["nearest_head"] == same.nearest_facts[0].head
        assert row["similarity"] == nearest.similarity


class TestBadQuestions:
    def test_unknown_entity(self, predictor: Predictor) -> None:
        with pytest.raises(MocmeError, match=r"head: found 'entty-12' \(did you mean 'entity-12'"):
            predictor.answers(head="entty-12", relation="has colour")

    def test_unknown_relation(self, predictor: Predictor) -> None:
        with pytest.raises(MocmeError, match=r"'has color' \(did you mean 'has colour'"):
            predictor.answers(tail="entity-1", relation="has color")
        with pytest.raises(MocmeError, match="has color"):
            list(predictor.missing_triples(["has color"]))

    def test_nothing_near_is_suggested_for_nonsense(self, predictor: Predictor) -> None:
        with pytest.raises(MocmeError) as caught:
            predictor.answers(head="%%%", relation="has colour")
        assert "did you mean" not in str(caught.value)

    @pytest.mark.parametrize("sides", [{}, {"head": "entity-1", "tail": "entity-2"}])
    def test_exactly_one_side(self, predictor: Predictor, sides: dict[str, str]) -> None:
        with pytest.raises(MocmeError, match="exactly one"):
            predictor.answers(relation="has colour", **sides)

    @pytest.mark.parametrize("k", [0, -1])
    def test_no_answer_wanted(self, predictor: Predictor, k: int) -> None:
        with pytest.raises(MocmeError, match=f"found k {k}; allowed: at least 1"):
            predictor.answers(head="entity-1", relation="has colour", k=k)
        with pytest.raises(MocmeError, match=f"found k {k}; allowed: at least 1"):
            predictor.complete(k=k)


class TestTables:
    def test_an_answer_is_a_row(self, predictor: Predictor, world: World) -> None:
        question = questions(world)[0]
        table, answers = predictor.predict(**question, k=7), predictor.answers(**question, k=7)
        assert list(table.columns[:4]) == ["entity", "name", "probability", "known"]
        assert table["entity"].tolist() == [answer.entity for answer in answers]
        assert table["probability"].tolist() == [answer.probability for answer in answers]
        for name in ("image", "text", NEIGHBOURS, STRUCTURE):
            weights = [answer.modality_weights[name] for answer in answers]
            assert table[f"weight_{name}"].tolist() == weights

    def test_a_missing_triple_is_a_row(self, predictor: Predictor) -> None:
        table, found = predictor.complete(k=3), list(predictor.missing_triples(k=3))
        assert [*table["head"]] == [triple.head for triple in found]
        assert [*table["tail_name"]] == [triple.tail_name for triple in found]
        assert [*table["weight_text"]] == [triple.modality_weights["text"] for triple in found]

    def test_a_table_without_rows_has_its_columns(self, predictor: Predictor, world: World) -> None:
        asked = questions(world)[0]
        whole, none = (
            predictor.predict(**asked),
            predictor.predict(**asked, new=True, min_probability=1),
        )
        assert len(none) == 0
        assert [*none.columns] == [*whole.columns]
        many = predictor.predict_many([Question(**asked)])
        assert [*predictor.predict_many([]).columns] == [*many.columns]
        assert [*predictor.complete([]).columns] == [*predictor.complete(k=1).columns]

    def test_names_serve_as_well_as_ids(self, predictor: Predictor, world: World) -> None:
        by_name = predictor.predict(head=world.graph.names[12], relation="has colour")
        by_id = predictor.predict(head=world.graph.entities[12], relation="has colour")
        assert by_name.equals(by_id)


def test_the_run_may_have_moved(
    finished_run: Path, tmp_path: Path, world: World, predictor: Predictor
) -> None:
    moved = Predictor(Path(shutil.copytree(finished_run, tmp_path / "moved")))
    question = questions(world)[0]
    assert moved.answers(**question) == predictor.answers(**question)


def test_the_config_of_the_model_is_not_needed(finished_run: Path) -> None:
    assert ModelConfig() != SMALL_MODEL
    assert Predictor(finished_run).scoring.blocks[0].entities.shape[1] == SMALL_MODEL.dim
