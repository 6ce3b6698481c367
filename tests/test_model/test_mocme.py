"""The model: who is encoded from what, and what reaches nobody."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from planted_graph import BARE, NEWCOMER, STRANGER, World, feature_table, planted_world
from small_training import model_config
from torch import Tensor

from model.config import CONTENT, NEIGHBOURS, STRUCTURE, FusionName
from model.encoded_block import EncodedBlock
from model.encoder.content import ContentEncoder
from model.inputs import modality_rows, with_inverses
from model.mocme import MoCME
from model.scorers import SCORERS
from storage.datasets.graph import Triples
from storage.errors import MocmeError
from storage.features.table import FeatureTable

FUSED = [fusion for fusion in get_args(FusionName) if fusion != "late"]
NO_DROPOUT = {"feature_dropout": 0.0, "modality_dropout": 0.0, "neighbour_dropout": 0.0}


def build(
    world: World,
    tables: Mapping[str, FeatureTable] | None = None,
    inverse_relations: bool = True,
    **changes: Any,
) -> MoCME:
    """Make the small model of a world, always from the same seed, in evaluation mode."""
    torch.manual_seed(0)
    tables = world.tables() if tables is None else tables
    rows = modality_rows(tables, world.graph, torch.device("cpu"))
    seen = torch.from_numpy(world.graph.seen_in_training)
    config = model_config(**changes)
    return MoCME(rows, seen, world.graph.num_relations, config, inverse_relations).eval()


def edges_of(world: World) -> Tensor:
    return torch.from_numpy(with_inverses(world.graph.train, world.graph.num_relations))


def encode(
    mocme: MoCME, edges: Tensor, audible: Tensor | None = None
) -> tuple[dict[str, EncodedBlock], Tensor]:
    """Encode everything from the same seed; return blocks by name, and modality weights."""
    torch.manual_seed(1)
    audible = torch.ones(len(edges), dtype=torch.bool) if audible is None else audible
    blocks, weights = mocme(mocme.neighbourhood(edges), audible)
    return {block.name: block for block in blocks}, weights


def content_of(mocme: MoCME, edges: Tensor, audible: Tensor | None = None) -> Tensor:
    """Encode everything; return the content's embeddings. Shape: (E, D)."""
    return encode(mocme, edges, audible)[0][CONTENT].entities


def gradients_of(mocme: MoCME, embeddings: Tensor) -> dict[str, Tensor]:
    """Return the gradient of every parameter for a loss of the embeddings; absent = zero."""
    mocme.zero_grad()
    embeddings.square().sum().backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in mocme.named_parameters()
    }


def reordered(triples: Triples, place: NDArray[np.int64]) -> Triples:
    """Rename entity e to place[e]. Shape: (num_triples, 3)."""
    return np.stack([place[triples[:, 0]], triples[:, 1], place[triples[:, 2]]], axis=1)


def nearest_neighbours(edges: Tensor, entities: list[int]) -> set[int]:
    """Return entities that hear any of the given ones, and these."""
    heard = torch.isin(edges[:, 2], torch.tensor(entities))
    return {*edges[heard, 0].tolist(), *entities}


class TestAbsence:
    @pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
    @pytest.mark.parametrize("fusion", FUSED)
    def test_rows_of_absent_entities_reach_nothing(
        self, world: World, garbage: float, fusion: str
    ) -> None:
        outcomes = []
        for value in (0.0, garbage):
            mocme = build(world, world.tables(value), fusion=fusion).train()
            blocks, weights = encode(mocme, edges_of(world))
            gradients = gradients_of(mocme, blocks[CONTENT].entities)
            outcomes.append([blocks[CONTENT].entities, weights, *gradients.values()])
        for clean, dirty in zip(*outcomes, strict=True):
            assert torch.equal(clean, dirty)
            assert bool(clean.isfinite().all())

    def test_weights_are_zero_exactly_where_absent_and_sum_to_1(self, world: World) -> None:
        blocks, weights = encode(build(world, neighbours=False), edges_of(world))
        present = torch.from_numpy(np.stack([world.has_image, world.has_text], axis=1))
        assert torch.equal(weights > 0, present)
        torch.testing.assert_close(weights.sum(1), present.any(1).float())
        assert torch.equal(blocks[CONTENT].present, present.any(1))
        assert not weights.requires_grad

    def test_an_absent_modality_gets_no_gradient(self, world: World) -> None:
        mocme = build(world, neighbours=False).train()
        embeddings = content_of(mocme, edges_of(world))
        only_text = torch.from_numpy(world.has_text & ~world.has_image)
        gradients = gradients_of(mocme, embeddings[only_text])
        for name, gradient in gradients.items():
            is_heard = "experts.text" in name and not name.endswith(
                "gate.down"
            )  # gates are open yet
            assert bool(gradient.any()) == is_heard, name

    def test_who_has_nothing_gets_the_fallback(self, world: World) -> None:
        mocme = build(world, neighbours=False)
        blocks, weights = encode(mocme, edges_of(world))
        nothing = torch.from_numpy(~world.has_text & ~world.has_image)
        assert bool(nothing[[BARE, STRANGER]].all())
        found = blocks[CONTENT].entities[nothing]
        assert torch.equal(found, found[:1].expand_as(found))
        assert not weights[nothing].any()
        gradients = gradients_of(mocme, found)
        touched = [name for name, gradient in gradients.items() if gradient.any()]
        assert touched == ["contents.content.fallback"]

    def test_the_fallback_is_for_nobody_else(self, world: World) -> None:
        mocme = build(world, neighbours=False)
        has = torch.from_numpy(world.has_text | world.has_image)
        gradients = gradients_of(mocme, content_of(mocme, edges_of(world))[has])
        assert not gradients["contents.content.fallback"].any()

    def test_fallback_rows_are_everybodys_own(self, world: World) -> None:
        mocme = build(world, neighbours=False, fallback_rows=True)
        found = content_of(mocme, edges_of(world))
        assert not torch.equal(found[BARE], found[STRANGER])

    def test_a_modality_that_nobody_has_changes_nothing(self, world: World) -> None:
        nobody = feature_table(world.text, np.zeros(len(world.text), np.bool_))
        plain = build(world)
        other = build(world, {**world.tables(), "sound": nobody})
        assert other.modalities == plain.modalities
        assert torch.equal(content_of(plain, edges_of(world)), content_of(other, edges_of(world)))

    def test_nothing_to_learn_from(self, world: World) -> None:
        with pytest.raises(MocmeError, match=r"structure: true"):
            build(world, {}, structure=False)


class TestFusion:
    def test_one_modality_of_one_expert_is_left_as_it_is(self, world: World) -> None:
        everyone = np.ones(world.graph.num_entities, np.bool_)
        tables = {"image": feature_table(world.image, everyone)}
        kinds = [
            build(world, tables, num_experts=1, neighbours=False, fusion=fusion)
            for fusion in ("cmkf", "cmkf_inter", "cmkf_intra", "cmkf_plain", "sum")
        ]
        content = kinds[0].contents["content"]
        assert content is not None
        view = content.experts["image_experts"](content.rows["image"].values)
        for mocme in kinds:
            assert torch.equal(content_of(mocme, edges_of(world)), view[0])

    def test_without_dropout_training_encodes_as_evaluation_does(self, world: World) -> None:
        mocme = build(world, **NO_DROPOUT)
        evaluated = content_of(mocme, edges_of(world))
        assert torch.equal(content_of(mocme.train(), edges_of(world)), evaluated)

    def test_evaluation_has_no_chance_in_it(self, world: World) -> None:
        mocme = build(world, feature_dropout=0.5, modality_dropout=0.5, neighbour_dropout=0.5)
        edges = edges_of(world)
        audible = torch.ones(len(edges), dtype=torch.bool)
        around = mocme.neighbourhood(edges)
        first, second = (mocme(around, audible)[0][0].entities for _ in range(2))
        assert torch.equal(first, second)

    def test_modality_dropout_leaves_everybody_something(self, world: World) -> None:
        rates = {**NO_DROPOUT, "modality_dropout": 0.97}
        mocme = build(world, neighbours=False, **rates).train()
        has = torch.from_numpy(world.has_text | world.has_image)
        both = torch.from_numpy(world.has_text & world.has_image)
        dropped = content_of(mocme, edges_of(world))
        whole = content_of(mocme.eval(), edges_of(world))
        assert bool(dropped[has].abs().sum(1).all())
        assert bool((dropped != whole).any(1)[both].any())

    def test_the_order_of_the_entities_does_not_matter(self, world: World) -> None:
        order = np.random.default_rng(0).permutation(world.graph.num_entities)
        place = np.argsort(order)
        turned = World(
            replace(world.graph, train=reordered(world.graph.train, place)),
            *(values[order] for values in (world.image, world.has_image)),
            *(values[order] for values in (world.text, world.has_text)),
        )
        found = content_of(build(turned), edges_of(turned))
        expected = content_of(build(world), edges_of(world))[torch.from_numpy(order)]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


class TestInformation:
    @pytest.fixture(scope="class")
    def tables(self) -> tuple[World, dict[str, FeatureTable]]:
        """Enough entities to measure on, a text, an image, and a copy of the image."""
        world = planted_world(num_things=240, absent=0.0)
        tables = world.tables()
        return world, {**tables, "copy": tables["image"]}

    def weights_of(self, mocme: MoCME, world: World) -> dict[str, float]:
        """Weights of a thing that has everything."""
        edges = edges_of(world)
        everything = torch.ones(len(edges), dtype=torch.bool)
        mocme.update_fusion(mocme.neighbourhood(edges), everything)
        weights = encode(mocme, edges)[1][10].tolist()
        return dict(zip(mocme.modalities, weights, strict=True))

    @pytest.mark.parametrize("fusion", ["cmkf", "cmkf_plain"])
    def test_a_copy_counts_less_and_what_is_alone_counts_more(
        self, tables: tuple[World, dict[str, FeatureTable]], fusion: str
    ) -> None:
        world, found = tables
        mocme = build(world, found, neighbours=False, fusion=fusion, temperature=0.3)
        weights = self.weights_of(mocme, world)
        assert weights["text"] > 1.5 * weights["image"]
        assert weights["image"] == pytest.approx(weights["copy"], rel=0.05)

    @pytest.mark.parametrize(
        ("fusion", "weighs"),
        [
            ("cmkf", {"modalities", "views"}),
            ("cmkf_inter", {"modalities"}),
            ("cmkf_intra", {"views"}),
            ("sum", set()),
        ],
    )
    def test_what_a_fusion_weighs(
        self, tables: tuple[World, dict[str, FeatureTable]], fusion: str, weighs: set[str]
    ) -> None:
        world, found = tables
        mocme = build(world, found, neighbours=False, num_experts=3, fusion=fusion)
        weights = self.weights_of(mocme, world)
        content = mocme.contents["content"]
        assert isinstance(content, ContentEncoder)
        assert (len(set(weights.values())) > 1) == ("modalities" in weighs)
        assert bool((content.strengths.of_views != 1).any()) == ("views" in weighs)
        assert mocme.weighs == bool(weighs)

    def test_the_plain_sum_does_not_mind(
        self, tables: tuple[World, dict[str, FeatureTable]]
    ) -> None:
        world, found = tables
        weights = self.weights_of(build(world, found, fusion="sum"), world)
        assert list(weights) == ["image", "text", "copy", NEIGHBOURS]
        assert weights["image"] == weights["text"] == weights["copy"]

    def test_too_few_entities_to_measure_give_equal_weights(self, world: World) -> None:
        mocme, plain = (build(world, neighbours=False, fusion=it) for it in ("cmkf", "sum"))
        self.weights_of(mocme, world)
        level, weights = (encode(model, edges_of(world))[1] for model in (plain, mocme))
        torch.testing.assert_close(weights, level, rtol=1e-3, atol=1e-4)

    def test_measuring_leaves_no_gradient_and_no_chance(
        self, tables: tuple[World, dict[str, FeatureTable]]
    ) -> None:
        world, found = tables
        mocme = build(world, found, neighbours=False)
        first = self.weights_of(mocme, world)
        assert self.weights_of(mocme, world) == pytest.approx(first, abs=1e-4)
        content = mocme.contents["content"]
        assert isinstance(content, ContentEncoder)
        assert not content.strengths.of_patterns.requires_grad

    @pytest.mark.parametrize("fusion", FUSED)
    def test_shares_are_of_what_is_present(self, world: World, fusion: str) -> None:
        blocks, shares = encode(build(world, fusion=fusion), edges_of(world))
        assert (shares >= 0).all()
        assert not shares.requires_grad
        torch.testing.assert_close(shares.sum(1), blocks[CONTENT].present.float())
        has_image = torch.from_numpy(world.has_image)
        assert torch.equal(shares[:, 0] > 0, has_image)

    def test_a_late_mixture_has_no_fused_block(self, world: World) -> None:
        mocme = build(world, fusion="late", alone=False, context=False)
        blocks, shares = encode(mocme, edges_of(world))
        assert list(blocks) == ["content-image", "content-text", STRUCTURE]
        assert shares.numel() == 0
        assert mocme.modalities == ()

    def test_more_modalities_than_can_be_fused_are_refused(self, world: World) -> None:
        tables = {f"m{number}": world.tables()["image"] for number in range(17)}
        with pytest.raises(MocmeError, match=r"found 17 modalities to fuse; allowed: 16"):
            build(world, tables)


class TestNeighbours:
    def test_inaudible_edges_say_nothing(self, world: World) -> None:
        mocme, edges = build(world), edges_of(world)
        audible = torch.arange(len(edges)) % 3 > 0
        expected = content_of(mocme, edges, audible)
        changed = edges.clone()
        noise = torch.Generator().manual_seed(0)
        count = int((~audible).sum())
        changed[~audible, 0] = torch.randint(world.graph.num_entities, (count,), generator=noise)
        changed[~audible, 2] = torch.randint(world.graph.num_entities, (count,), generator=noise)
        assert torch.equal(content_of(mocme, changed, audible), expected)
        removed = content_of(mocme, edges[audible], audible[audible])
        torch.testing.assert_close(removed, expected)

    def test_an_audible_edge_speaks_to_its_ends_and_to_nobody_else(self, world: World) -> None:
        mocme, edges = build(world), edges_of(world)
        half = len(edges) // 2
        bearing = torch.from_numpy(world.has_image | world.has_text)
        index = next(i for i in range(half) if bearing[edges[i, 0]] and bearing[edges[i, 2]])
        audible = torch.ones(len(edges), dtype=torch.bool)
        audible[[index, index + half]] = False
        difference = content_of(mocme, edges) != content_of(mocme, edges, audible)
        changed = difference.any(1).nonzero().flatten().tolist()
        assert set(changed) == {int(edges[index, 0]), int(edges[index, 2])}

    def test_neighbours_are_present_where_something_is_heard(self, world: World) -> None:
        mocme, edges = build(world), edges_of(world)
        weights = encode(mocme, edges)[1][:, mocme.modalities.index(NEIGHBOURS)]
        bearing = torch.from_numpy(world.has_image | world.has_text)
        hears = torch.zeros(len(bearing), dtype=torch.bool)
        hears[edges[bearing[edges[:, 2]], 0]] = True
        assert torch.equal(weights > 0, hears)
        assert bool(hears[BARE]), "the colour of the bare thing has features"
        assert not hears[[NEWCOMER, STRANGER]].any()

    def test_with_no_edge_nobody_hears(self, world: World) -> None:
        mocme = build(world)
        weights = encode(mocme, edges_of(world)[:0])[1]
        assert not weights[:, mocme.modalities.index(NEIGHBOURS)].any()

    def test_features_reach_one_step_far(self, world: World) -> None:
        """An entity's own features reach those who hear it, and nobody else."""
        edges = edges_of(world)
        thing = int(np.flatnonzero(world.has_image & world.has_text)[3])
        mocme = build(world)
        before = content_of(mocme, edges)
        assert mocme.contents["content"] is not None
        rows = mocme.contents["content"].rows["image"]
        rows.values[rows.entities == thing] += 1
        changed = (content_of(mocme, edges) != before).any(1).nonzero().flatten().tolist()
        assert set(changed) == nearest_neighbours(edges, [thing])


class TestStructure:
    def test_an_unseen_entity_reads_the_mean_row(self, world: World) -> None:
        block = encode(build(world), edges_of(world))[0][STRUCTURE]
        seen = torch.from_numpy(world.graph.seen_in_training)
        assert torch.equal(block.present, seen)
        assert not seen[[NEWCOMER, STRANGER]].any()
        mean = block.entities[seen].mean(0)
        torch.testing.assert_close(block.entities[~seen], mean.expand(int((~seen).sum()), -1))

    def test_alone(self, world: World) -> None:
        blocks, weights = encode(build(world, {}), edges_of(world))
        assert list(blocks) == [STRUCTURE]
        assert weights.numel() == 0
        assert build(world, {}).modalities == ()

    def test_joined_it_is_a_modality_of_who_occurs_in_training(self, world: World) -> None:
        mocme = build(world, joint=True, neighbours=False)
        blocks, weights = encode(mocme, edges_of(world))
        assert list(blocks) == [CONTENT]
        assert mocme.modalities == ("image", "text", STRUCTURE)
        seen = torch.from_numpy(world.graph.seen_in_training)
        assert torch.equal(weights[:, 2] > 0, seen)

    def test_joined_only_the_rows_of_entities_are_penalised(self, world: World) -> None:
        mocme = build(world, joint=True)
        block = encode(mocme, edges_of(world))[0][CONTENT]
        penalised = mocme.penalised(block)
        assert penalised is not None
        rows, relations = penalised
        assert rows.shape == block.entities.shape
        assert not torch.equal(rows, block.entities)
        assert not relations.any()
        apart = build(world)
        assert apart.penalised(encode(apart, edges_of(world))[0][CONTENT]) is None

    def test_absent(self, world: World) -> None:
        assert list(encode(build(world, structure=False), edges_of(world))[0]) == [CONTENT]


@pytest.mark.parametrize("scorer", sorted(SCORERS))
class TestInverseRelations:
    def test_derived(self, world: World, scorer: str) -> None:
        mocme = build(world, inverse_relations=False, scorer=scorer)
        count = world.graph.num_relations
        heads, tails = torch.arange(5), torch.arange(5, 10)
        for block in encode(mocme, edges_of(world))[0].values():
            assert block.relations.shape == (2 * count, block.scorer.relation_dim)
            for relation in range(count):
                there, back = (
                    block.scorer.score_all(
                        block.scorer.query(block.entities[a], block.relations[[index] * 5]),
                        block.entities[b],
                    ).diagonal()
                    for a, index, b in (
                        (heads, relation, tails),
                        (tails, relation + count, heads),
                    )
                )
                torch.testing.assert_close(there, back, rtol=1e-3, atol=1e-4)

    def test_learned(self, world: World, scorer: str) -> None:
        mocme = build(world, inverse_relations=True, scorer=scorer)
        count = world.graph.num_relations
        for block in encode(mocme, edges_of(world))[0].values():
            assert block.relations.shape == (2 * count, block.scorer.relation_dim)
            derived = block.scorer.inverse(block.relations[:count])
            assert not torch.equal(block.relations[count:], derived)


NAMES_OF_MODULES = ["type", "float", "training", "keys", "pop", "forward"]
OTHER_NAMES = ["speech-2", "1", "Image", "self", "rows", "fallback"]


@pytest.mark.parametrize("name", [*OTHER_NAMES, *NAMES_OF_MODULES])
def test_a_modality_may_have_any_name_that_the_config_allows(world: World, name: str) -> None:
    mocme = build(world, {name: world.tables()["text"]})
    assert mocme.modalities == (name, NEIGHBOURS)
