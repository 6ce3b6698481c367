"""A loss over all entities whose memory does not grow with batch x entities.

Scores are made, turned into a loss and into gradients, and dropped again, chunk by chunk of the
batch, within the forward pass. A chunk is small enough to stay in the processor's cache. Compared
with one pass over the whole batch: benchmarks/loss.py.

Shapes: B batch, E entities, D width.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

ChunkLoss = Callable[[Tensor, slice], Tensor]
"""From a chunk's products, (C, E), and its place in the batch to the sum of the chunk's losses."""

_CHUNK_NUMBERS = {"cpu": 2**20, "cuda": 2**27}
"""Scores of a chunk, by device: 4 MiB of float32 fit a processor's cache."""
_GRADIENT_NUMBERS = {"cpu": 2**24, "cuda": 2**28}
"""Gradients of scores that are kept until they are multiplied, all at once, with the embeddings."""
_MIN_QUESTIONS = 64
"""Of those: each multiplication goes through the gradients of all entities."""


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
    total: Tensor = _ChunkedLoss.apply(query, entities, chunk_loss, dtype)
    return total


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, entities: Tensor, chunk_loss: ChunkLoss, dtype: torch.dtype
    ) -> Tensor:
        query_grad, entity_grad = torch.empty_like(query), torch.zeros_like(entities)
        total = query.new_zeros(())
        left, right = query.to(dtype), entities.to(dtype)
        for part in _parts(slice(0, len(query)), _kept(right)):
            grads = right.new_empty(part.stop - part.start, len(right))
            for place in _parts(part, _at_once(right)):
                product = (left[place] @ right.T).to(query.dtype).requires_grad_()
                with torch.enable_grad():
                    loss = chunk_loss(product, place)
                (grad,) = torch.autograd.grad(loss, product)
                grads[place.start - part.start : place.stop - part.start] = grad
                total += loss.detach()
            query_grad[part] = grads @ right
            _add_product(entity_grad, grads.T, left[part])
        ctx.gradients = (query_grad, entity_grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query_grad, entity_grad = ctx.gradients
        del ctx.gradients
        return query_grad.mul_(grads[0]), entity_grad.mul_(grads[0]), None, None


def _parts(whole: slice, size: int) -> Iterator[slice]:
    """Divide a slice into slices of a size, but for the last."""
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def _at_once(entities: Tensor) -> int:
    """Questions whose scores are made at once."""
    return max(1, _CHUNK_NUMBERS[_kind(entities)] // len(entities))


def _kept(entities: Tensor) -> int:
    """Questions whose gradients are kept until they are multiplied."""
    return max(_MIN_QUESTIONS, _GRADIENT_NUMBERS[_kind(entities)] // len(entities))


def _kind(entities: Tensor) -> str:
    return entities.device.type if entities.device.type in _CHUNK_NUMBERS else "cpu"


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a sum, which may have another dtype."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
