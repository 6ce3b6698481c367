"""Several processes that train one model together, each on its part of every batch.

Every process holds the whole model, encodes all entities and draws the same random numbers, so
dropout and negatives are those that a single process would have. What is divided is scoring and
loss, which cost most: a process takes its part of a batch's questions, and the gradients are added
up before the optimiser's step. So several processes train as one does, up to the order in which
numbers are added, and end with the same parameters, bit by bit.

torch's DistributedDataParallel is no help: it averages over parts as if they were of one size, and
watches the gradients of what one `forward` returns, while the losses here are computed from blocks
outside of it. It saves time by sending early gradients during the backward pass; here nearly all
of them come last, from the encoder.

The first process alone evaluates and writes; the others do as it says.
"""

import atexit
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from model.config import TrainConfig
from model.device import choose_device
from storage.errors import MocmeError

_LONGEST_WAIT = timedelta(hours=6)
"""For another process that lives: the first one evaluates and writes while the others wait."""

_WITHOUT_A_NUMBER = ("auto", "cuda")


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as one of them sees it; by default it is alone.

    Attributes:
        device: Where this one computes.
        rank: Its number, counted from 0.
        size: How many there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that evaluates and writes."""
        return self.rank == 0

    def part(self, triples: Tensor) -> tuple[slice, float]:
        """Return this process's part of a batch, and which share of the batch that is.

        Answers to one question that stand side by side stay together. Where there are fewer
        questions than processes, some take a triple with a share of 0: that gives the same
        parameters a gradient in every process.

        Args:
            triples: The batch's, h and r asking for t; at least one. Shape: (B, 3).
        """
        if self.size == 1:
            return slice(0, len(triples)), 1.0
        turns = (triples[1:, :2] != triples[:-1, :2]).any(1).nonzero().flatten() + 1
        bounds = [0, *turns.tolist(), len(triples)]
        start, stop = (
            bounds[(len(bounds) - 1) * rank // self.size] for rank in (self.rank, self.rank + 1)
        )
        first = min(start, len(triples) - 1)
        return slice(first, max(stop, first + 1)), (stop - start) / len(triples)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every parameter the sum of its gradients in all processes."""
        if self.size == 1:
            return
        found = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([grad.reshape(-1) for grad in found])
        distributed.all_reduce(flat)
        for grad, total in zip(found, flat.split([grad.numel() for grad in found]), strict=True):
            grad.copy_(total.view_as(grad))

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a value over all processes; same shape."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def share_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's buffers: GPUs may measure a little differently."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def from_first(self, compute: Callable[[], float]) -> float:
        """Have the first process compute a number, and return it in all of them."""
        if self.size == 1:
            return compute()
        value = torch.zeros((), dtype=torch.float64, device=self.device)
        if self.is_first:
            value.fill_(compute())
        distributed.broadcast(value, 0)
        return float(value)

    def wait(self) -> None:
        """Wait until all processes have come to this line."""
        self.sum(torch.zeros((), device=self.device))


def wanted_processes(config: TrainConfig) -> int:
    """Return how many processes a config asks for; `auto`: one a GPU, one without.

    Raises:
        MocmeError: If they cannot have a device each.
    """
    count = config.processes
    if count == "auto":
        uses_all = config.device in _WITHOUT_A_NUMBER and torch.cuda.is_available()
        count = torch.cuda.device_count() if uses_all else 1
    if count > 1:
        _device_of(0, count, config.device)
    return count


def num_started() -> int:
    """Return of how many processes that torchrun has started this is one; 1 outside of torchrun."""
    return int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1


def join_processes(device: str) -> Processes:
    """Join the others that torchrun has started; outside of torchrun there are none.

    Those that have joined stay together until they end: several trainings can follow each other.

    Args:
        device: The config's `train.device`.

    Raises:
        MocmeError: If the processes cannot have a device each.
    """
    size = num_started()
    if size == 1:
        return Processes(choose_device(device))
    here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    own = _device_of(*here, device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    if not distributed.is_initialized():
        backend = "nccl" if own.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
        atexit.register(distributed.destroy_process_group)
    return Processes(own, distributed.get_rank(), size)


def _device_of(local_rank: int, num_local: int, name: str) -> torch.device:
    """Return the device of one of a machine's processes: the CPU, or a GPU of its own."""
    device = choose_device(name)
    if device.type == "cpu":
        return device
    if name not in _WITHOUT_A_NUMBER:
        raise MocmeError(
            f"found train.device: {name} and {num_local} processes; allowed: auto, cuda or cpu, or "
            "train.processes: 1"
        )
    if num_local > torch.cuda.device_count():
        raise MocmeError(
            f"found {torch.cuda.device_count()} GPUs and {num_local} processes; allowed: a GPU for "
            "each (train.processes: auto), or train.device: cpu"
        )
    return torch.device("cuda", local_rank)
