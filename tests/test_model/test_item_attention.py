"""Several items of an entity: the mean at first, then whichever tells most."""

from pathlib import Path

import numpy as np
import torch
from planted_graph import World, planted_world
from small_training import model_config, train_config

from model.encoder.item_attention import ItemAttention
from model.evaluation.ranking import known_answers, rank
from model.runs.run_folder import RunFolder
from model.training.train import train
from storage.features.table import FeatureTable

OWNERS = torch.tensor([0, 0, 0, 1, 2, 2])


def test_untrained_is_the_mean() -> None:
    views = torch.randn(6, 4)
    pooled = ItemAttention(4)(views, OWNERS, 3)
    expected = torch.stack([views[:3].mean(0), views[3], views[4:].mean(0)])
    torch.testing.assert_close(pooled, expected)


def test_is_a_softmax_over_the_items_of_each_owner() -> None:
    torch.manual_seed(0)
    attention, views = ItemAttention(4), torch.randn(6, 4) * 40
    torch.nn.init.normal_(attention.query)
    pooled = attention(views, OWNERS, 3)
    for owner in range(3):
        own = views[owner == OWNERS]
        expected = (own @ attention.query).softmax(0) @ own
        torch.testing.assert_close(pooled[owner], expected)


def test_the_order_of_items_does_not_matter() -> None:
    torch.manual_seed(0)
    attention, views, order = ItemAttention(4), torch.randn(6, 4), torch.randperm(6)
    torch.nn.init.normal_(attention.query)
    torch.testing.assert_close(
        attention(views[order], OWNERS[order], 3), attention(views, OWNERS, 3)
    )


def with_distractors(world: World) -> FeatureTable:
    """Give every image a second item of noise, before or after it; a flag tells which is which."""
    generator = np.random.default_rng(0)
    scale = 3 * world.image.std()
    images = np.pad(world.image, ((0, 0), (0, 1)))
    noise = np.pad(
        generator.normal(scale=scale, size=world.image.shape), ((0, 0), (0, 1)), constant_values=1
    )
    values = np.stack([images, noise], axis=1).astype(np.float32)
    turned = generator.random(len(values)) < 0.5
    values[turned] = values[turned, ::-1]
    return FeatureTable(values, np.repeat(world.has_image[:, None], 2, axis=1), "dense")


def test_training_learns_which_items_tell(tmp_path: Path) -> None:
    world = planted_world(num_things=120, absent=0.0)
    tables, mrr = {"image": with_distractors(world)}, []
    for attend in ((), ("image",)):
        run_dir = tmp_path / f"{len(attend)}"
        model = model_config(structure=False, neighbours=False, attend=attend, dim=32)
        train(world.graph, tables, model, train_config(epochs=20), run_dir)
        known = known_answers(world.graph, torch.device("cpu"))
        ranks = rank(RunFolder(run_dir).read_scoring(), world.graph.test, known)
        mrr.append(ranks.metrics()["mrr"])
    assert mrr[1] > mrr[0] + 0.1, mrr
