"""Functions of rows that are computed a part at a time, so that a part stays in the cache.

A gate of an embedding is a dozen passes over its numbers. Over all entities at once, every pass
goes through memory, and autograd keeps most of what lies between. Here a part's passes follow each
other in a processor's cache; the way back computes them again, part by part.

Shapes: E rows.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

_NUMBERS_OF_A_PART = 2**19
"""2 MiB of float32."""
_FEW_PARTS = 8
"""So many are computed at once: computing them again would take as long as memory does."""

RowFunction = Callable[..., tuple[Tensor, ...]]


def by_rows(
    function: RowFunction, rows: Sequence[Tensor], parameters: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Apply a function to parts of the rows, and join what it returns.

    On a GPU, which parts do not help, and where there are few of them, all rows are one part.

    Args:
        function: Takes parts of `rows`, then all of `parameters`; returns tensors with a row for
            each of the part's, which must depend on that row alone, and on no chance. The first of
            them alone has a gradient.
        rows: Tensors of as many rows. Shapes: (E, ...).
        parameters: What all rows share.

    Returns:
        Shapes (E, ...).
    """
    if rows[0].device.type != "cpu" or len(list(_parts(rows))) <= _FEW_PARTS:
        result, *others = function(*rows, *parameters)
        return (result, *(it.detach() for it in others))
    joined: tuple[Tensor, ...] = _ByRows.apply(function, len(rows), *rows, *parameters)
    return joined


class _ByRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, function: RowFunction, num_rows: int, *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.function, ctx.num_rows = function, num_rows
        ctx.save_for_backward(*inputs)
        rows, parameters = inputs[:num_rows], inputs[num_rows:]
        parts = [function(*(it[part] for it in rows), *parameters) for part in _parts(rows)]
        result, *others = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
        ctx.mark_non_differentiable(*others)
        return (result, *others)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[2:]
        rows, of_rows = ctx.saved_tensors[: ctx.num_rows], wanted[: ctx.num_rows]
        parameters = _leaves(ctx.saved_tensors[ctx.num_rows :], wanted[ctx.num_rows :])
        totals = [
            torch.zeros_like(it) if wants else None for it, wants in zip(rows, of_rows, strict=True)
        ]
        for part in _parts(rows):
            taken = _leaves([it[part] for it in rows], of_rows)
            with torch.enable_grad():
                result = ctx.function(*taken, *parameters)[0]
            result.backward(grads[0][part])
            for total, leaf in zip(totals, taken, strict=True):
                if total is not None and leaf.grad is not None:
                    total[part] = leaf.grad
        return None, None, *totals, *(leaf.grad for leaf in parameters)


def _leaves(tensors: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    """Return the tensors cut off from what they were made of, to collect gradients in."""
    return [it.detach().requires_grad_(wants) for it, wants in zip(tensors, wanted, strict=True)]


def _parts(rows: Sequence[Tensor]) -> Iterator[slice]:
    width = sum(it[:1].numel() for it in rows)
    size = max(1, _NUMBERS_OF_A_PART // max(1, width))
    for start in range(0, max(1, len(rows[0])), size):
        yield slice(start, start + size)
