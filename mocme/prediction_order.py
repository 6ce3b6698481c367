"""The order of predicted triples: the most probable or the most informative first."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple


class Order(StrEnum):
    """Which triples come first.

    Attributes:
        PROBABLE: The most probable.
        INFORMATIVE: Those whose probability is nearest to 1/2: whether they hold tells most.
    """

    PROBABLE = "probable"
    INFORMATIVE = "informative"


def in_order(triples: Iterable["PredictedTriple"], order: Order) -> list["PredictedTriple"]:
    """Sort triples of any relations; of equal ones, the one that came first stays first."""
    if order is Order.PROBABLE:
        return sorted(triples, key=lambda it: -it.probability)
    return sorted(triples, key=lambda it: abs(it.probability - 0.5))
