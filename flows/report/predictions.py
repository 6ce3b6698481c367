"""Predicted triples as a report shows them: the surest of every relation, then the second of each.

Sorted by probability alone, one relation of many sure answers would fill page after page.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.errors import MocmeError

_WEIGHT = "weight_"
_COLUMNS = ("head", "relation", "tail", "probability")


@dataclass(frozen=True)
class Prediction:
    """A line of `predictions.tsv`.

    Attributes:
        head: Entity id.
        relation: Relation id.
        tail: Entity id.
        probability: The model's belief.
        weights: Share of every modality in the score.
    """

    head: str
    relation: str
    tail: str
    probability: float
    weights: dict[str, float]


def read_predictions(path: Path) -> list[Prediction]:
    """Read `predictions.tsv`.

    Raises:
        MocmeError: If a line is not as the `predict` stage writes it.
    """
    heading, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    columns = heading.split("\t")
    names = [column.removeprefix(_WEIGHT) for column in columns[len(_COLUMNS) :]]
    try:
        return [_parse(line, names) for line in lines]
    except ValueError as error:
        raise MocmeError(
            f"{path}: found a damaged line ({error}); allowed: the file as `mocme predict CONFIG` "
            "wrote it"
        ) from error


def _parse(line: str, names: Sequence[str]) -> Prediction:
    head, relation, tail, probability, *weights = line.split("\t")
    shares = dict(zip(names, map(float, weights), strict=True))
    return Prediction(head, relation, tail, float(probability), shares)


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
