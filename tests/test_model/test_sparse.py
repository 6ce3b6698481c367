"""Products with a sparse matrix against the dense product."""

import pytest
import torch

from model.layers.sparse import SparseMatrix


@pytest.mark.parametrize("num_entries", [0, 1, 60])
def test_is_the_dense_product_and_so_is_its_gradient(num_entries: int) -> None:
    """Entries may repeat; rows and columns may be empty."""
    torch.manual_seed(0)
    rows, columns = torch.randint(7, (num_entries,)), torch.randint(1, 9, (num_entries,))
    values = torch.randn(num_entries, dtype=torch.double)
    dense = torch.randn(10, 3, dtype=torch.double, requires_grad=True)
    matrix = torch.zeros(8, 10, dtype=torch.double).index_put(
        (rows, columns), values, accumulate=True
    )
    product = SparseMatrix(rows, columns, (8, 10)).matmul(dense, values)
    torch.testing.assert_close(product, matrix @ dense)
    upstream = torch.randn_like(product)
    (gradient,) = torch.autograd.grad(product, dense, upstream)
    torch.testing.assert_close(gradient, matrix.T @ upstream)
