"""What a model is selected on where the valid split of a graph leaks.

Such a split rewards what has memorised train. So triples are carved out of train, a first training
is selected on those, and a second one learns from all of train for as many epochs and with the
block weights and the calibration of the first. Test is looked at after that, once.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from model.scoring.calibration import Calibration
from storage.datasets.audit import audit
from storage.datasets.clean import selection_splits
from storage.datasets.graph import Graph


@dataclass(frozen=True)
class SelectionResult:
    """What the first of two trainings decided.

    Attributes:
        epochs: Epochs until its best evaluation.
        valid_mrr: Filtered MRR there, on the carved triples.
        block_weights: Fitted on them. Shape: (R, num_blocks); see `model.scoring.block_weights`.
        calibration: Fitted on them; see `model.probability.calibration`.
    """

    epochs: int
    valid_mrr: float
    block_weights: Tensor
    calibration: Calibration


def graph_to_select_on(graph: Graph, select_on: Literal["auto", "valid", "carved"]) -> Graph | None:
    """Return the graph of the first training, or None if one training on the graph is enough.

    Args:
        graph: The graph as published.
        select_on: The config's `train.select_on`. `auto` carves where too little of valid is
            clean (`SplitAudit.valid_is_usable`) and train has triples to spare.
    """
    if select_on == "valid" or (select_on == "auto" and audit(graph).valid_is_usable):
        return None
    carved = selection_splits(graph)
    return carved if len(carved.valid) else None
