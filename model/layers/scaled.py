"""Maps whose weights are learned at unit variance and scaled by 1 / sqrt(inputs).

So an optimiser whose first steps are as large for any weight (Adagrad, Adam) moves the output by as
much whatever the number of inputs is; a plain map of a thousand inputs diverges at the learning
rate that suits embeddings.
"""

import math

import torch
from torch import Tensor, nn


def scaled_normal(weight: Tensor) -> Tensor:
    """Scale weights of unit variance. Shape: (..., inputs, outputs)."""
    return weight / math.sqrt(weight.shape[-2])


def scaled_linear(values: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Map the last dimension by weights of unit variance, in a precision of its own."""
    product = torch.matmul(values.to(dtype), scaled_normal(weight).to(dtype))
    return product.to(bias.dtype) + bias


class ScaledLinear(nn.Module):
    """A linear map with such weights.

    Args:
        num_inputs: Length of what is mapped.
        num_outputs: Length of what it is mapped to.
        dtype: Precision of the matrix product.
    """

    def __init__(self, num_inputs: int, num_outputs: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.weight = nn.Parameter(torch.randn(num_inputs, num_outputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, values: Tensor) -> Tensor:
        """Map the last dimension."""
        return scaled_linear(values, self.weight, self.bias, self.dtype)
