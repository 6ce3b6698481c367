"""What the tests of the model share: one thread, a planted graph, a run trained on it."""

from pathlib import Path

import pytest
import torch
from planted_graph import World, planted_world
from small_training import run_training

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def world() -> World:
    """A planted graph of 55 entities, some without image, text or both."""
    return planted_world()


@pytest.fixture(scope="session")
def finished_run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose training has finished; not to be written to."""
    return run_training(world, tmp_path_factory.mktemp("runs") / "finished")
