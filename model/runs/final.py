"""The two models of a run: the selected one, which is measured, and the final one, which answers.

The selected model never saw test, so all metrics are of it. What a user asks should be answered
from all that the user knows. So a final training learns from all splits for as many epochs as the
selected model's best, with its block weights and its calibration. This project's definition; free
of torch, so that flows can read it.
"""

import dataclasses

import numpy as np

from model.config import FinalName
from storage.datasets.audit import triple_keys
from storage.datasets.graph import SPLITS, Graph, Split
from storage.datasets.keys import first_occurrences


def splits_learned(graph: Graph, final: FinalName) -> tuple[Split, ...]:
    """Return the splits whose triples the model learns that answers.

    Args:
        graph: The dataset's graph.
        final: The config's `train.final`. `auto` learns all where mocme made the splits: no facts
            were meant to be held out then.
    """
    if final == "auto":
        final = "all" if graph.split_by_hash else "selected"
    learned: dict[FinalName, tuple[Split, ...]] = {
        "all": SPLITS,
        "train+valid": ("train", "valid"),
        "selected": ("train",),
    }
    return learned[final]


def final_graph(graph: Graph, final: FinalName) -> Graph | None:
    """Return the graph of the final training; None if the selected model answers.

    Args:
        graph: The dataset's graph.
        final: The config's `train.final`.

    Returns:
        The same, but train has the distinct triples of all splits that are learned, each at its
        first occurrence, and of the others valid and test have what they had.
    """
    learned = splits_learned(graph, final)
    return None if learned == ("train",) else with_train_of(graph, learned)


def with_train_of(graph: Graph, learned: tuple[Split, ...]) -> Graph:
    """Return a graph whose train has the distinct triples of some splits, which are empty then."""
    together = np.concatenate([graph.split(split) for split in learned])
    train = together[first_occurrences(triple_keys(graph, together))]
    valid, test = (
        graph.split(split)[:0] if split in learned else graph.split(split)
        for split in ("valid", "test")
    )
    return dataclasses.replace(graph, train=train, valid=valid, test=test)
