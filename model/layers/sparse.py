"""Sums over the entries of a sparse matrix, without a row in memory for every entry.

`index_add` and the gradient of `tensor[index]` first make one dense row per entry; on a CPU that
takes several times as long. Here both directions are one `embedding_bag`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class SparseMatrix:
    """Where the entries of a matrix are; their values come with every product.

    Args:
        rows: Row of every entry. Shape: (N,).
        columns: Column of every entry. Shape: (N,).
        shape: Number of rows and of columns.
    """

    def __init__(self, rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> None:
        self._by_row = _Bags(rows, columns, shape[0])
        self._by_column = _Bags(columns, rows, shape[1])

    def matmul(self, dense: Tensor, values: Tensor) -> Tensor:
        """Multiply with a dense matrix, which alone gets a gradient.

        Args:
            dense: Shape (number of columns, D).
            values: Value of every entry. Shape: (N,).

        Returns:
            Shape (number of rows, D).
        """
        product: Tensor = _Product.apply(dense, values, self._by_row, self._by_column)
        return product


class _Bags:
    """The entries in order of the side that is summed into.

    Args:
        into: Index of the sum that an entry goes to. Shape: (N,).
        of: Index of the dense row that an entry multiplies. Shape: (N,).
        count: Number of sums.
    """

    def __init__(self, into: Tensor, of: Tensor, count: int) -> None:
        self._order = torch.argsort(into, stable=True)
        self._of = of[self._order]
        self._offsets = torch.searchsorted(
            into[self._order], torch.arange(count, device=into.device)
        )

    def sum(self, dense: Tensor, values: Tensor) -> Tensor:
        """Return sum of values times dense rows, per bag. Shape: (count, D)."""
        return F.embedding_bag(
            self._of,
            dense.contiguous(),
            self._offsets,
            mode="sum",
            per_sample_weights=values[self._order],
        )


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, values: Tensor, by_row: _Bags, by_column: _Bags) -> Tensor:
        ctx.save_for_backward(values)
        ctx.by_column = by_column
        return by_row.sum(dense, values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (values,) = ctx.saved_tensors
        return ctx.by_column.sum(grads[0], values), None, None, None
