"""What the model reads: rows of who has a modality, and look-ups of known tails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from planted_graph import World, feature_table

from model.inputs import KnownTails, ModalityRows, modality_rows, with_inverses
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore
from storage.features.table import FeatureTable

CPU = torch.device("cpu")


class TestRows:
    def test_only_who_has_the_modality_in_entity_order(self, world: World) -> None:
        rows = modality_rows(world.tables(), world.graph, CPU)
        assert list(rows) == ["image", "text"]
        for name, present in (("image", world.has_image), ("text", world.has_text)):
            np.testing.assert_array_equal(rows[name].entities, np.flatnonzero(present))
            assert rows[name].values.dtype == torch.float32
            assert bool(rows[name].values.isfinite().all())

    def test_normalised_by_the_entities_of_the_training_triples(self, world: World) -> None:
        graph = world.graph
        shifted = world.image.copy()
        shifted[~graph.seen_in_training] += 1000
        everyone = np.ones(graph.num_entities, np.bool_)
        rows = [
            modality_rows({"image": feature_table(values, everyone)}, graph, CPU)["image"].values
            for values in (world.image, shifted)
        ]
        seen = torch.from_numpy(graph.seen_in_training)
        assert torch.equal(rows[0][seen], rows[1][seen])

    def test_of_mean_squared_length_1_over_training_entities(self, world: World) -> None:
        seen = torch.from_numpy(world.graph.seen_in_training)
        for rows in modality_rows(world.tables(), world.graph, CPU).values():
            squared = rows.values[seen[rows.entities]].square().sum(1)
            torch.testing.assert_close(squared.mean(), torch.tensor(1.0))
        everyone = np.ones(world.graph.num_entities, np.bool_)
        constant = feature_table(np.ones((len(everyone), 3), np.float32), everyone)
        assert not modality_rows({"constant": constant}, world.graph, CPU)["constant"].values.any()

    def test_a_modality_that_nobody_has_is_left_out(self, world: World) -> None:
        nobody = feature_table(world.image, np.zeros(len(world.image), np.bool_))
        assert modality_rows({"image": nobody}, world.graph, CPU) == {}

    def test_half_precision_from_a_real_store(self, world: World, tmp_path: Path) -> None:
        space = FeatureSpace("text_hash", {}, dim=4, dtype="float16")
        vectors = {bytes([n]) * 32: np.full(4, n, np.float16) for n in (1, 2, 5)}
        with FeatureStore.open(tmp_path, space) as store:
            store.write(vectors, {})
            references = [(3, b"\1" * 32), (3, b"\5" * 32), (5, b"\2" * 32)]
            table = FeatureTable.read(store, world.graph.num_entities, references, max_items=2)
        rows = modality_rows({"text": table}, world.graph, CPU)["text"]
        assert rows.entities.tolist() == [3, 5]
        assert rows.values.dtype == torch.float32
        assert bool((rows.values[0] > rows.values[1]).all()), "the mean of 1 and 5 is above 2"

    def test_compact_leaves_out_what_does_not_count(self) -> None:
        entities, values = torch.tensor([2, 5, 7]), torch.arange(6.0).reshape(3, 2)
        whole = ModalityRows(entities, values)
        assert whole.compact() is whole
        part = ModalityRows(entities, values, torch.tensor([True, False, True])).compact()
        assert part.entities.tolist() == [2, 7]
        assert torch.equal(part.values, values[[0, 2]])
        assert part.mask is None


def test_inverses_follow_in_the_same_order() -> None:
    found = with_inverses(np.array([[0, 1, 2], [3, 0, 3]]), num_relations=5)
    assert found.tolist() == [[0, 1, 2], [3, 0, 3], [2, 6, 0], [3, 5, 3]]


class TestKnownTails:
    @pytest.fixture
    def triples(self) -> np.ndarray:
        """Draw 200 triples, many of them twice, over 12 entities and 4 relations."""
        return np.random.default_rng(0).integers([12, 4, 12], size=(200, 3))

    def test_lookup_is_the_definition(self, triples: np.ndarray) -> None:
        known = KnownTails(triples, 4, CPU)
        everything = {tuple(triple) for triple in triples.tolist()}
        heads, relations = (
            grid.flatten()
            for grid in torch.meshgrid(torch.arange(15), torch.arange(4), indexing="ij")
        )
        rows, tails = known.lookup(heads, relations)
        found = {
            (int(heads[row]), int(relations[row]), tail)
            for row, tail in zip(rows.tolist(), tails.tolist(), strict=True)
        }
        assert found == everything

    def test_questions_may_repeat(self, triples: np.ndarray) -> None:
        known = KnownTails(triples, 4, CPU)
        head, relation, _ = triples[0].tolist()
        rows, tails = known.lookup(torch.tensor([head, head]), torch.tensor([relation] * 2))
        assert torch.equal(tails[rows == 0], tails[rows == 1])
        assert len(tails) > 1

    def test_contains_is_the_definition(self, triples: np.ndarray) -> None:
        known = KnownTails(triples, 4, CPU)
        everything = {tuple(triple) for triple in triples.tolist()}
        drawn = torch.from_numpy(np.random.default_rng(1).integers([15, 4], size=(30, 2)))
        tails = torch.from_numpy(np.random.default_rng(2).integers(15, size=(30, 9)))
        found = known.contains(drawn[:, :1], drawn[:, 1:], tails)
        expected = [
            [(head, relation, tail) in everything for tail in row]
            for (head, relation), row in zip(drawn.tolist(), tails.tolist(), strict=True)
        ]
        assert found.tolist() == expected
        assert 0 < found.sum() < found.numel()

    def test_elsewhere_it_is_another_and_here_the_same(self, triples: np.ndarray) -> None:
        known = KnownTails(triples, 4, CPU)
        assert known.to(CPU) is known
        elsewhere = known.to(torch.device("meta"))
        tensors = [it for it in vars(elsewhere).values() if isinstance(it, torch.Tensor)]
        assert len(tensors) == 4
        assert all(it.is_meta for it in tensors)
        assert known.lookup(torch.tensor([0]), torch.tensor([0]))[1].device == CPU

    def test_nothing_known(self) -> None:
        known = KnownTails(np.zeros((0, 3), np.int64), 4, CPU)
        ones = torch.ones(2, dtype=torch.long)
        assert [len(part) for part in known.lookup(ones, ones)] == [0, 0]
        assert not known.contains(ones[:, None], ones[:, None], ones.repeat(2, 1)).any()

    def test_no_questions(self, triples: np.ndarray) -> None:
        none = torch.zeros(0, dtype=torch.long)
        assert [len(part) for part in KnownTails(triples, 4, CPU).lookup(none, none)] == [0, 0]
