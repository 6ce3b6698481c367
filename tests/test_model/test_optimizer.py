"""The optimisers of a training do what torch's own do, bit by bit."""

from typing import Any

import pytest
import torch
from small_training import train_config
from torch import nn

from model.training.optimizer import build_optimizer

OF_TORCH: dict[str, type[torch.optim.Optimizer]] = {
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
}


@pytest.mark.parametrize("name", OF_TORCH)
def test_steps_are_those_of_torch(name: str) -> None:
    models = [nn.Linear(5, 3), nn.Linear(5, 3)]
    models[1].load_state_dict(models[0].state_dict())
    config = train_config(optimizer=name, learning_rate=0.1)
    of_torch: Any = OF_TORCH[name]
    optimizers = [build_optimizer(models[0], config), of_torch(models[1].parameters(), lr=0.1)]
    for _ in range(5):
        inputs = torch.randn(7, 5)
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()
    ours, expected = (list(model.parameters()) for model in models)
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))
    assert all(parameter.requires_grad for parameter in ours)
    states = [list(it.state_dict()["state"][0].values()) for it in optimizers]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
