"""All blocks at once: what each is made from, and that the rules hold for all of them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_graph import BARE, NEWCOMER, STRANGER, World
from small_training import (
    losses_of,
    model_config,
    same_outcome,
    train_config,
)
from torch import Tensor

from model.config import CONTENT, CONTEXT, NEIGHBOURS, STRUCTURE
from model.encoded_block import EncodedBlock
from model.inputs import modality_rows, with_inverses
from model.mocme import MoCME
from model.prediction.predictor import Predictor
from model.runs.epoch_report import EpochReport
from model.training.train import train
from storage.errors import MocmeError
from storage.features.table import FeatureTable

EVERY_BLOCK = model_config(alone=True, context=True)
NAMES = [CONTENT, "content-image", "content-text", STRUCTURE, CONTEXT]


def build(world: World, tables: dict[str, FeatureTable] | None = None, **changes: Any) -> MoCME:
    """Make the model of a world with every block, from one seed, in evaluation mode."""
    torch.manual_seed(0)
    tables = world.tables() if tables is None else tables
    rows = modality_rows(tables, world.graph, torch.device("cpu"))
    seen = torch.from_numpy(world.graph.seen_in_training)
    config = model_config(**{"alone": True, "context": True, **changes})
    return MoCME(rows, seen, world.graph.num_relations, config, inverse_relations=True).eval()


def edges_of(world: World) -> Tensor:
    return torch.from_numpy(with_inverses(world.graph.train, world.graph.num_relations))


def blocks_of(mocme: MoCME, edges: Tensor, audible: Tensor | None = None) -> list[EncodedBlock]:
    """Encode everything from the same seed."""
    torch.manual_seed(1)
    audible = torch.ones(len(edges), dtype=torch.bool) if audible is None else audible
    return mocme(mocme.neighbourhood(edges), audible)[0]


def changed_blocks(world: World, tables: dict[str, FeatureTable]) -> list[str]:
    """Names of the blocks that other tables change."""
    pairs = zip(
        blocks_of(build(world), edges_of(world)),
        blocks_of(build(world, tables), edges_of(world)),
        strict=True,
    )
    return [a.name for a, b in pairs if not torch.equal(a.entities, b.entities)]


class TestBlocks:
    def test_names(self, world: World) -> None:
        assert [block.name for block in blocks_of(build(world), edges_of(world))] == NAMES
        only = {"image": world.tables()["image"]}
        names = [block.name for block in blocks_of(build(world, only), edges_of(world))]
        assert names == [CONTENT, STRUCTURE, CONTEXT], "alone is no other than fused"

    @pytest.mark.parametrize("name", ["image", "text"])
    def test_a_modality_reaches_the_fused_block_and_its_own(self, world: World, name: str) -> None:
        tables = world.tables()
        table = tables[name]
        values = np.random.default_rng(0).normal(size=table.values.shape).astype(np.float32)
        tables[name] = FeatureTable(values, table.mask, table.layout)
        assert changed_blocks(world, tables) == [CONTENT, f"content-{name}"]

    def test_alone_present_is_who_has_it_or_hears_of_it(self, world: World) -> None:
        for block in blocks_of(build(world), edges_of(world))[1:3]:
            has = world.has_image if block.name == "content-image" else world.has_text
            heard = np.zeros_like(has)
            both_ways = edges_of(world).numpy()
            heard[both_ways[has[both_ways[:, 2]], 0]] = True
            np.testing.assert_array_equal(block.present, has | heard)

    @pytest.mark.parametrize("name", [NEIGHBOURS, STRUCTURE, CONTEXT])
    def test_names_of_the_models_own_parts_are_refused(self, world: World, name: str) -> None:
        with pytest.raises(MocmeError, match=re.escape(name)):
            build(world, {name: world.tables()["text"]})


class TestContext:
    def context_of(self, mocme: MoCME, edges: Tensor, audible: Tensor | None = None) -> Tensor:
        return blocks_of(mocme, edges, audible)[-1].entities

    def test_who_hears_nobody_is_absent(self, world: World) -> None:
        block = blocks_of(build(world), edges_of(world))[-1]
        heard = torch.zeros(world.graph.num_entities, dtype=torch.bool)
        heard[edges_of(world)[:, 0]] = True
        assert torch.equal(block.present, heard)
        assert bool(heard[BARE])
        assert not heard[[NEWCOMER, STRANGER]].any()
        assert not block.entities[~heard].any()

    def test_inaudible_edges_say_nothing(self, world: World) -> None:
        mocme, edges = build(world), edges_of(world)
        audible = torch.arange(len(edges)) % 3 > 0
        changed = edges.clone()
        changed[~audible, 2] = NEWCOMER
        found = self.context_of(mocme, changed, audible)
        assert torch.equal(found, self.context_of(mocme, edges, audible))
        assert not torch.equal(found, self.context_of(mocme, edges))

    def test_an_own_row_is_for_others(self, world: World) -> None:
        mocme, edges = build(world), edges_of(world)
        before = self.context_of(mocme, edges)
        assert mocme.context is not None
        thing = int(edges[0, 0])
        with torch.no_grad():
            mocme.context.rows[thing] += 1
        changed = (self.context_of(mocme, edges) != before).any(1).nonzero().flatten().tolist()
        assert set(changed) == set(edges[edges[:, 2] == thing, 0].tolist()) - {thing}

    def test_needs_structure(self, world: World) -> None:
        names = [b.name for b in blocks_of(build(world, structure=False), edges_of(world))]
        assert names == NAMES[:3]


def run(world: World, run_dir: Path, garbage: float = np.nan) -> Path:
    config = train_config(epochs=3, eval_every=1, patience=9)
    train(world.graph, world.tables(garbage), EVERY_BLOCK, config, run_dir)
    return run_dir


class TestTraining:
    @pytest.fixture(scope="class")
    def whole(self, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return run(world, tmp_path_factory.mktemp("blocks") / "whole")

    def test_garbage_in_absent_rows_changes_nothing(
        self, world: World, whole: Path, tmp_path: Path
    ) -> None:
        assert same_outcome(whole, run(world, tmp_path, garbage=1e30))

    def test_valid_and_test_triples_never_enter(
        self, world: World, whole: Path, tmp_path: Path
    ) -> None:
        swapped = replace(world.graph, valid=world.graph.test, test=world.graph.valid)
        assert losses_of(run(replace(world, graph=swapped), tmp_path)) == losses_of(whole)

    def test_stopped_and_started_again(self, world: World, whole: Path, tmp_path: Path) -> None:
        def on_epoch(report: EpochReport) -> None:
            if report.epoch == 2:
                raise KeyboardInterrupt

        config = train_config(epochs=3, eval_every=1, patience=9)
        with pytest.raises(KeyboardInterrupt):
            train(world.graph, world.tables(), EVERY_BLOCK, config, tmp_path, on_epoch)
        assert same_outcome(whole, run(world, tmp_path))

    def test_shares(self, world: World, whole: Path) -> None:
        ids, relations = world.graph.entities, world.graph.relations
        predictor = Predictor(whole)
        assert [block.name for block in predictor.scoring.blocks] == NAMES
        for row in (5, BARE, NEWCOMER, STRANGER):
            for answer in predictor.answers(head=ids[row], relation=relations[0], k=len(ids)):
                shares = answer.modality_weights
                assert {"image", "text", NEIGHBOURS, STRUCTURE, CONTEXT} <= set(shares)
                assert set(shares) <= {"image", "text", NEIGHBOURS, STRUCTURE, CONTEXT, CONTENT}
                assert min(shares.values()) >= 0
                assert sum(shares.values()) == pytest.approx(1, abs=1e-5)

    def test_more_blocks_than_dimensions(self, world: World, tmp_path: Path) -> None:
        model = model_config(alone=True, context=True, dim=4)
        train(world.graph, world.tables(), model, train_config(), tmp_path)
