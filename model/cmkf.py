"""CMKF: complementarity-guided fusion, within a modality and between modalities.

The weight of a view or modality falls with the mean mutual information it shares with the
others: what repeats the others counts less. Weights carry no gradient.
"""

import torch
from torch import Tensor


def intra_weights(information: Tensor, temperature: float) -> Tensor:
    """Weights of the views of one modality.

    w_k = softmax over k of -mean_{j != k} I_jk / temperature; one view has weight 1.

    Args:
        information: Symmetric, zero diagonal, nats per dimension. Shape: (K, K).
        temperature: Nats per dimension; high values level the weights.

    Returns:
        Non-negative, sum 1. Shape: (K,).
    """
    everyone = torch.ones(1, len(information), dtype=torch.bool, device=information.device)
    return inter_weights(information, everyone, temperature)[0]


def inter_weights(information: Tensor, present: Tensor, temperature: float) -> Tensor:
    """Weights of the modalities that an entity has.

    w_m(e) = softmax over the present m of -mean over the other present j of I_jm / temperature.

    Args:
        information: Symmetric, zero diagonal, nats per dimension. Shape: (M, M).
        present: Which entity has which modality. Shape: (E, M), bool.
        temperature: Nats per dimension; high values level the weights.

    Returns:
        Non-negative, exactly zero where absent, rows sum to 1 (to 0 where nothing is present).
        Shape: (E, M).
    """
    mask = present.to(information.dtype)
    others = (mask.sum(1, keepdim=True) - 1).clamp_min(1)
    logits = -(mask @ information) / others / temperature
    shifted = logits - logits.masked_fill(~present, -torch.inf).amax(1, keepdim=True)
    raised = torch.where(present, shifted.exp(), 0.0)
    return raised / raised.sum(1, keepdim=True).clamp_min(torch.finfo(raised.dtype).tiny)
