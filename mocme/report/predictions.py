"""Predicted triples as a report shows them: the surest of every relation, then the second of each.

Sorted by probability alone, one relation of many sure answers would fill page after page.
"""

from collections import defaultdict
from collections.abc import Sequence

from flows.stages.predictions import Prediction


def in_turns(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Order predictions: the surest of every relation first, those by probability, and so on."""
    by_relation: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in sorted(predictions, key=lambda it: -it.probability):
        by_relation[prediction.relation].append(prediction)
    turns = [
        (turn, -prediction.probability, prediction)
        for those in by_relation.values()
        for turn, prediction in enumerate(those)
    ]
    return [prediction for _, _, prediction in sorted(turns, key=lambda it: it[:2])]
