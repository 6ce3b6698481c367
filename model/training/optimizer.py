"""The optimiser of a training, without torch's compiler.

torch imports its compiler, `torch._dynamo`, at the first call of an optimiser, only to tell it to
leave the optimiser alone. That costs each process about 2 s, and mocme compiles nothing.
"""

import inspect

import torch
from torch import nn
from torch.optim import Optimizer

from model.config import TrainConfig

_MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods of all optimisers that torch marks for its compiler."""


def build_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """Return the optimiser that a config names, of all parameters of a model."""
    _unmark_methods()
    if config.optimizer == "adagrad":
        return Adagrad(model.parameters(), lr=config.learning_rate)
    return Adam(model.parameters(), lr=config.learning_rate)


def _unmark_methods() -> None:
    """Let methods of all optimisers call what they wrap, which torch looks for in an attribute.

    A torch without that attribute imports its compiler as before.
    """
    for name in _MARKED:
        method = inspect.unwrap(getattr(Optimizer, name))
        method.__dict__.setdefault("__dynamo_disable", method)


class Adagrad(torch.optim.Adagrad):
    """Adagrad whose step imports no compiler."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters."""
        inspect.unwrap(torch.optim.Adagrad.step)(self)


class Adam(torch.optim.Adam):
    """Adam whose step imports no compiler."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters."""
        inspect.unwrap(torch.optim.Adam.step)(self)
