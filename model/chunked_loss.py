"""A loss over all entities whose memory does not grow with batch x entities.

Scores are made, turned into a loss and into gradients, and dropped again, chunk by chunk of the
batch, within the forward pass. A chunk is small enough to stay in the processor's cache, which
makes a step about twice as fast on a CPU as one pass over the whole batch (benchmarks/loss.py).

Shapes: B batch, E entities, D width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ChunkLoss = Callable[[Tensor, slice], Tensor]
"""From a chunk's products, (C, E), and its place in the batch to the sum of the chunk's losses."""

_CHUNK_NUMBERS = {"cpu": 2**20, "cuda": 2**27}
"""Scores of a chunk, by device: 4 MiB of float32 fit a core's share of cache."""
_MIN_QUESTIONS = 64
"""Of a chunk: each adds to the gradient of all entities, whose memory has to be gone through."""


def chunked_loss(
    query: Tensor,
    entities: Tensor,
    chunk_loss: ChunkLoss,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Sum a loss of the products of all queries with all entities, chunk by chunk.

    Args:
        query: Shape (B, D).
        entities: Shape (E, D).
        chunk_loss: Loss of a chunk; must not depend on any other tensor that needs a gradient.
        dtype: What is multiplied; sums over entities and the loss stay as they are.

    Returns:
        The sum, with gradients to `query` and `entities`, once. Shape: ().
    """
    numbers = _CHUNK_NUMBERS.get(query.device.type, _CHUNK_NUMBERS["cpu"])
    size = max(_MIN_QUESTIONS, numbers // len(entities))
    total: Tensor = _ChunkedLoss.apply(query, entities, chunk_loss, size, dtype)
    return total


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        entities: Tensor,
        chunk_loss: ChunkLoss,
        size: int,
        dtype: torch.dtype,
    ) -> Tensor:
        query_grad, entity_grad = torch.empty_like(query), torch.zeros_like(entities)
        total = query.new_zeros(())
        left, right = query.to(dtype), entities.to(dtype)
        for start in range(0, len(query), size):
            place = slice(start, min(start + size, len(query)))
            part = left[place]
            product = (part @ right.T).to(query.dtype).requires_grad_()
            with torch.enable_grad():
                loss = chunk_loss(product, place)
            (grad,) = torch.autograd.grad(loss, product)
            grad = grad.to(dtype)
            query_grad[place] = grad @ right
            _add_product(entity_grad, grad.T, part)
            total += loss.detach()
        ctx.gradients = (query_grad, entity_grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        query_grad, entity_grad = ctx.gradients
        del ctx.gradients
        return query_grad.mul_(grads[0]), entity_grad.mul_(grads[0]), None, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a sum, which may have another dtype."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
