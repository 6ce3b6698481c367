"""Entities that arrived after a training: placed by what they show, and nothing else changes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import (
    COLOUR,
    MAKER,
    NEWCOMER,
    NUM_COLOURS,
    NUM_MAKERS,
    NUM_SHAPES,
    World,
    planted_world,
)
from small_training import SMALL_MODEL, model_config, train_config

from model.config import STRUCTURE
from model.evaluation.ranking import known_answers, rank
from model.prediction.placing import Arrivals, arrivals, place
from model.prediction.predictor import Predictor
from model.runs.run_folder import RunFolder
from model.runs.trained import OtherFeaturesError
from model.training.train import train
from storage.datasets.graph import Graph
from storage.features.table import FeatureTable

NUM_THINGS = 120
TRAINING = train_config(epochs=30, learning_rate=0.1)


def with_entities(graph: Graph, first: list[str], facts: list[tuple[str, str, str]]) -> Graph:
    """A dataset as it is later: entities in front of those it had, and more facts."""
    entities = (*first, *graph.entities)
    relations = (*graph.relations, "new relation")
    rows = {entity: row for row, entity in enumerate(entities)}
    shift = np.array([len(first), 0, len(first)])
    more = np.array([(rows[h], relations.index(r), rows[t]) for h, r, t in facts], dtype=np.int64)
    train_triples = np.concatenate([graph.train + shift, more.reshape(-1, 3)])
    names = (*(name.title() for name in first), *graph.names)
    return Graph(entities, names, relations, train_triples, graph.valid + shift, graph.test + shift)


class TestArrivals:
    def test_of_nothing_new(self) -> None:
        graph = planted_world().graph
        found = arrivals(graph, graph)
        assert (found.graph, found.num_new, len(found.facts)) == (graph, 0, 0)

    def test_are_behind_what_was_there_with_facts_of_known_relations(self) -> None:
        graph = planted_world().graph
        known = graph.entities[-1]
        later = with_entities(
            graph,
            ["late", "later"],
            [("late", "has maker", known), ("late", "new relation", "later")],
        )
        found = arrivals(graph, later)
        assert found.graph.entities == (*graph.entities, "late", "later")
        assert found.graph.names[-2:] == ("Late", "Later")
        size = graph.num_entities
        assert found.facts.tolist() == [[size, MAKER, size - 1]]
        np.testing.assert_array_equal(found.graph.train, graph.train)


@pytest.fixture(scope="module")
def big_world() -> World:
    return planted_world(NUM_THINGS, absent=0.0)


@pytest.fixture(scope="module")
def run_dir(big_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placing") / "run"
    train(big_world.graph, big_world.tables(), SMALL_MODEL, TRAINING, folder)
    return folder


def later_tables(
    world: World, image: np.ndarray, text: np.ndarray, has: Mapping[str, bool]
) -> dict[str, FeatureTable]:
    """The world's tables with rows of new entities behind. Shapes: (N, dim)."""
    grown = replace(
        world,
        image=np.concatenate([world.image, image]).astype(np.float32),
        text=np.concatenate([world.text, text]).astype(np.float32),
        has_image=np.append(world.has_image, np.full(len(image), has["image"])),
        has_text=np.append(world.has_text, np.full(len(text), has["text"])),
    )
    return grown.tables()


def placed(
    run_dir: Path, target: Path, found: Arrivals, tables: Mapping[str, FeatureTable]
) -> RunFolder:
    place(run_dir, found, tables, SMALL_MODEL, TRAINING, target)
    return RunFolder(target)


def new_entities(world: World, size: int) -> Arrivals:
    names = [f"late-{number}" for number in range(size)]
    return arrivals(world.graph, with_entities(world.graph, names, []))


def test_known_entities_stay_as_they_are_to_the_bit(
    big_world: World, run_dir: Path, tmp_path: Path
) -> None:
    image, text = big_world.image[:3] + 0.1, big_world.text[:3] - 0.1
    tables = later_tables(big_world, image, text, {"image": True, "text": True})
    folder = placed(run_dir, tmp_path, new_entities(big_world, 3), tables)
    before, after = RunFolder(run_dir).read_scoring(), folder.read_scoring()
    size = big_world.graph.num_entities
    assert folder.read_graph().num_entities == size + 3
    for old, new in zip(before.blocks, after.blocks, strict=True):
        assert torch.equal(old.entities, new.entities[:size])
        assert torch.equal(old.relations, new.relations)
        assert len(new.present) == size + 3
    assert torch.equal(before.modality_weights, after.modality_weights[:size])
    assert torch.equal(before.calibration.lines.weights, after.calibration.lines.weights)
    assert before.calibration.missing_share == after.calibration.missing_share
    assert before.calibration.most_missing == after.calibration.most_missing


def test_the_image_of_an_entity_unseen_in_training_gives_its_embedding(
    big_world: World, run_dir: Path, tmp_path: Path
) -> None:
    """The newcomer was there, with features and no training triple; its double arrived later."""
    image, text = big_world.image[[NEWCOMER]], big_world.text[[NEWCOMER]]
    tables = later_tables(big_world, image, text, {"image": True, "text": True})
    scoring = placed(run_dir, tmp_path, new_entities(big_world, 1), tables).read_scoring()
    for block in scoring.blocks:
        torch.testing.assert_close(block.entities[-1], block.entities[NEWCOMER])
        assert block.present[-1] == block.present[NEWCOMER]
    torch.testing.assert_close(scoring.modality_weights[-1], scoring.modality_weights[NEWCOMER])


def test_what_a_new_entity_shows_is_answered(
    big_world: World, run_dir: Path, tmp_path: Path
) -> None:
    """Of pictures never seen, the colour; by chance, one in five would be right."""
    colours = np.tile(np.arange(NUM_COLOURS), 4)
    seen = {int(h): int(t) - NUM_THINGS for h, r, t in big_world.graph.train if r == COLOUR}
    mean = [
        big_world.image[[h for h in seen if seen[h] == colour]].mean(0)
        for colour in range(NUM_COLOURS)
    ]
    noise = np.random.default_rng(1).normal(size=(len(colours), len(mean[0]))) * 0.3
    image, text = np.stack(mean)[colours] + noise, np.zeros((len(colours), 9))
    tables = later_tables(big_world, image, text, {"image": True, "text": False})
    placed(run_dir, tmp_path, new_entities(big_world, len(colours)), tables)
    predictor, right = Predictor(tmp_path), 0
    for number, colour in enumerate(colours):
        answer = predictor.answers(head=f"late-{number}", relation="has colour", k=1)[0]
        right += answer.entity == f"entity-{NUM_THINGS + colour}"
    assert right >= 16


def test_its_facts_are_heard_and_known(big_world: World, run_dir: Path, tmp_path: Path) -> None:
    maker = big_world.graph.entities[-1]
    later = with_entities(big_world.graph, ["late", "mute"], [("late", "has maker", maker)])
    found = arrivals(big_world.graph, later)
    nothing = (np.zeros((2, big_world.image.shape[1])), np.zeros((2, big_world.text.shape[1])))
    tables = later_tables(big_world, *nothing, {"image": False, "text": False})
    scoring = placed(run_dir, tmp_path, found, tables).read_scoring()
    content = scoring.blocks[0]
    assert content.present[-2]
    assert not content.present[-1]
    assert not torch.equal(content.entities[-2], content.entities[-1])
    answers = Predictor(tmp_path).answers(head="late", relation="has maker", k=1000)
    assert [answer.entity for answer in answers if answer.known] == [maker]


def test_a_placed_entity_may_be_of_a_kind_that_no_other_is(
    big_world: World, run_dir: Path, tmp_path: Path
) -> None:
    later = with_entities(big_world.graph, ["late"], [("late", "has maker", "entity-1")])
    later = replace(later, kinds=(("toy",), *((),) * big_world.graph.num_entities))
    row = (big_world.image[:1], big_world.text[:1])
    tables = later_tables(big_world, *row, {"image": True, "text": True})
    folder = placed(run_dir, tmp_path, arrivals(big_world.graph, later), tables)
    assert folder.read_graph().kinds[-1] == ("toy",)
    answers = Predictor(tmp_path).answers(head="late", relation="has colour", k=3)
    assert len(answers) == 3


def test_the_learned_row_of_an_entity_with_one_fact_is_found_on_both_sides(
    big_world: World, run_dir: Path, tmp_path: Path
) -> None:
    """It has no features, so only its fact can rank it among 120 things; the mean row does not."""
    makers = range(big_world.graph.num_entities - NUM_MAKERS, big_world.graph.num_entities)
    names = [f"late-{maker}" for maker in makers]
    facts = [(f"late-{maker}", "has maker", f"entity-{maker}") for maker in makers]
    found = arrivals(big_world.graph, with_entities(big_world.graph, names, facts))
    empty = [np.zeros((NUM_MAKERS, it.shape[1])) for it in (big_world.image, big_world.text)]
    tables = later_tables(big_world, empty[0], empty[1], {"image": False, "text": False})
    folder = placed(run_dir, tmp_path, found, tables)
    known = known_answers(folder.read_graph(), torch.device("cpu"))
    before, after = RunFolder(run_dir).read_scoring(), folder.read_scoring()
    weights = torch.zeros_like(after.block_weights)
    weights[:, [block.name for block in after.blocks].index(STRUCTURE)] = 1
    ranking = rank(replace(after, block_weights=weights), found.facts, known)
    assert ranking.tail_ranks.max() <= 3
    assert ranking.head_ranks.max() <= 3
    for old, new in zip(before.encoded, after.encoded, strict=True):
        assert torch.equal(old.entities, new.entities[: found.num_known])
        assert torch.equal(old.present, new.present[: found.num_known])
        assert new.present[found.num_known :].all()


def test_rules_lead_to_a_placed_entity(big_world: World, tmp_path: Path) -> None:
    """Things of one maker have one colour: the colour of a new thing finds it by its maker."""
    config, training = model_config(rule_length=3), train_config(epochs=1)
    train(big_world.graph, big_world.tables(), config, training, tmp_path / "run")
    maker = big_world.graph.num_entities - 1
    fact = ("late", "has maker", f"entity-{maker}")
    found = arrivals(big_world.graph, with_entities(big_world.graph, ["late"], [fact]))
    row = (big_world.image[:1], big_world.text[:1])
    tables = later_tables(big_world, *row, {"image": False, "text": False})
    place(tmp_path / "run", found, tables, config, training, tmp_path / "placed")
    rules = RunFolder(tmp_path / "placed").read_scoring().rules
    assert rules is not None
    colour = torch.tensor([maker - NUM_SHAPES - NUM_MAKERS])
    inverse = torch.tensor([COLOUR + big_world.graph.num_relations])
    scores = rules.scores(colour, inverse)[0]
    assert scores[-1] > 1
    assert scores[-1] == scores.max()


class TestRefusals:
    def test_other_features_of_known_entities(
        self, big_world: World, run_dir: Path, tmp_path: Path
    ) -> None:
        found = new_entities(big_world, 1)
        changed = replace(big_world, image=big_world.image * np.float32(-2))
        row = (big_world.image[:1], big_world.text[:1])
        tables = later_tables(changed, *row, {"image": True, "text": True})
        with pytest.raises(OtherFeaturesError, match=r"other features of \d+ of the \d+ entities"):
            placed(run_dir, tmp_path / "placed", found, tables)
        assert not (tmp_path / "placed").exists()

    def test_features_of_another_width(
        self, big_world: World, run_dir: Path, tmp_path: Path
    ) -> None:
        wide = replace(big_world, text=np.tile(big_world.text, 2))
        row = (wide.image[:1], wide.text[:1])
        tables = later_tables(wide, *row, {"image": True, "text": True})
        with pytest.raises(OtherFeaturesError, match="the features ask for"):
            placed(run_dir, tmp_path / "placed", new_entities(big_world, 1), tables)

    def test_a_modality_that_is_gone(self, big_world: World, run_dir: Path, tmp_path: Path) -> None:
        row = (big_world.image[:1], big_world.text[:1])
        tables = later_tables(big_world, *row, {"image": True, "text": True})
        del tables["text"]
        with pytest.raises(OtherFeaturesError, match="the modalities that the run was trained on"):
            placed(run_dir, tmp_path / "placed", new_entities(big_world, 1), tables)


def test_every_learned_table_grows(big_world: World, tmp_path: Path) -> None:
    """Structure, context and fallback rows: new entities read the mean of those learned."""
    config = model_config(alone=True, context=True, fallback_rows=True, joint=False)
    tables, training = big_world.tables(), train_config(epochs=2)
    train(big_world.graph, tables, config, training, tmp_path / "run")
    row = (big_world.image[:2], big_world.text[:2])
    later = later_tables(big_world, *row, {"image": False, "text": False})
    found = new_entities(big_world, 2)
    place(tmp_path / "run", found, later, config, training, tmp_path / "placed")
    scoring = RunFolder(tmp_path / "placed").read_scoring()
    assert {len(block.entities) for block in scoring.blocks} == {big_world.graph.num_entities + 2}
    (structure,) = [block for block in scoring.blocks if block.name == "structure"]
    seen = torch.from_numpy(big_world.graph.seen_in_training)
    mean = structure.entities[: len(seen)][seen].mean(0)
    torch.testing.assert_close(structure.entities[-1], mean)
