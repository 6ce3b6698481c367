"""Dropout by bits: clearing the bits of a number takes a CPU far less than testing a mask."""

from typing import Any

import torch
from torch import Tensor

_SAME_WIDTH = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


def hide(values: Tensor, share: float) -> Tensor:
    """Set a share of numbers to zero; what is kept is not scaled up.

    Args:
        values: Any shape; float16, bfloat16, float32 or float64.
        share: In [0, 1], taken to the nearest 1/65536 below 1.

    Returns:
        A tensor of the same shape and dtype; gradients reach what is kept.
    """
    kept = kept_bits(values.shape, share, values.device).to(_SAME_WIDTH[values.dtype])
    hidden: Tensor = _Hide.apply(values, kept)
    return hidden


def kept_bits(shape: torch.Size, share: float, device: torch.device) -> Tensor:
    """Draw 0 for what is hidden and -1, all bits set, for what is kept; int16.

    One random number serves four places.
    """
    numbers = torch.empty(-(-shape.numel() // 4), dtype=torch.int64, device=device)
    parts = numbers.random_(-(2**63), None).view(torch.int16)[: shape.numel()]
    return parts.ge_(min(round(share * 2**16), 2**16 - 1) - 2**15).neg_().view(shape)


class _Hide(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(kept)
        return _masked(values, kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _masked(grads[0], kept), None


def _masked(values: Tensor, kept: Tensor) -> Tensor:
    return (values.view(kept.dtype) & kept).view(values.dtype)
