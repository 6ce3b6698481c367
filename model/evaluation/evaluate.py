"""Evaluation of a finished run: on the published test, the clean one, and by groups of triples.

Nothing is selected here; the test split is read once per run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.device import choose_device
from model.evaluation.ranking import Ranking, known_answers, rank, rank_metrics
from model.probability.held_out import calibration_on_test
from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from storage.datasets.audit import audit, clean_test_mask
from storage.datasets.graph import Graph
from storage.errors import MocmeError


@dataclass(frozen=True)
class ReciprocalRanks:
    """What each question was answered with, for comparisons between runs.

    Attributes:
        valid: Of valid, tails first, then heads. Shape: (Q,).
        test: Of the clean test split. Shape: (Q,).
        is_unseen: Whether a test triple has an entity unseen in training. Shape: (Q,).
    """

    valid: NDArray[np.float64]
    test: NDArray[np.float64]
    is_unseen: NDArray[np.bool_]


def reciprocal_ranks(run_dir: Path) -> ReciprocalRanks:
    """Rank valid and the clean test split with a run's selected model, filtered by all splits.

    Raises:
        MocmeError: If the run has not finished training.
    """
    folder = RunFolder(run_dir)
    graph = folder.read_graph()
    device = choose_device("auto")
    scoring = folder.read_scoring(device)
    known = known_answers(graph, device)
    clean = clean_test_mask(graph)
    found = [_rank_valid(folder, device), rank(scoring, graph.test[clean], known)]
    valid, test = (1 / np.concatenate([it.tail_ranks, it.head_ranks]) for it in found)
    return ReciprocalRanks(valid, test, np.tile(_has_unseen_entity(graph)[clean], 2))


def evaluate_run(run_dir: Path) -> dict[str, Any]:
    """Rank valid and test with a finished run's selected model, filtered by all splits.

    Args:
        run_dir: A run's folder.

    Returns:
        Under `model`, which of the run's models that was (see `model.runs.final`). Metrics
        (`mrr`, `hits_at_1`, `hits_at_3`, `hits_at_10`, `mr`, `num_ranks`) under `test`,
        `test_clean` (distinct test triples that stand in no other split), `valid` (what the model
        was selected on: carved out of train where the published one leaks), `unseen_entities`
        (test triples with an entity unseen in training), `per_side`, `per_relation` and
        `per_modality` (test, by the modalities of the entity that is asked for), `calibration` (see
        `calibration_on_test`), and the split `audit`.

    Raises:
        MocmeError: If the run has not finished training, or learned test.
    """
    folder = RunFolder(run_dir)
    graph = folder.read_graph()
    device = choose_device("auto")
    scoring = folder.read_scoring(device)
    if not len(graph.test):
        raise MocmeError(
            f"{run_dir}: found no triples of test, as its model learned them; allowed: a run that "
            "keeps some, as the one does that this one was made from"
        )
    known = known_answers(graph, device)
    test = rank(scoring, graph.test, known)
    return {
        "model": "selected",
        "test": test.metrics(),
        "test_clean": test.metrics(clean_test_mask(graph)),
        "valid": _rank_valid(folder, device).metrics(),
        "unseen_entities": test.metrics(_has_unseen_entity(graph)),
        "per_side": {
            "head": rank_metrics(test.head_ranks),
            "tail": rank_metrics(test.tail_ranks),
        },
        "per_relation": _per_relation(test, graph),
        "per_modality": _per_modality(test, scoring),
        "calibration": calibration_on_test(
            graph, scoring, is_fitted_on_test=not len(folder.answering.read_graph().test)
        ),
        "audit": audit(graph).to_dict(),
    }


def _rank_valid(folder: RunFolder, device: torch.device) -> Ranking:
    """Rank the triples that the model was selected on, by the model that had not learned them."""
    selected = folder.selected
    graph = selected.read_graph()
    return rank(selected.read_scoring(device), graph.valid, known_answers(graph, device))


def _has_unseen_entity(graph: Graph) -> NDArray[np.bool_]:
    return np.asarray(~graph.seen_in_training[graph.test[:, [0, 2]]].all(axis=1))


def _per_relation(ranking: Ranking, graph: Graph) -> dict[str, dict[str, float]]:
    relations = ranking.triples[:, 1]
    return {
        graph.relations[index]: ranking.metrics(relations == index)
        for index in np.unique(relations).tolist()
    }


def _per_modality(ranking: Ranking, scoring: BlockScoring) -> dict[str, dict[str, float]]:
    """Metrics over the ranks whose answer has the modality."""
    ranks = np.concatenate([ranking.tail_ranks, ranking.head_ranks])
    answers = np.concatenate([ranking.triples[:, 2], ranking.triples[:, 0]])
    has = (scoring.modality_weights > 0).cpu().numpy()
    return {
        name: rank_metrics(ranks[has[answers, index]])
        for index, name in enumerate(scoring.modalities)
    }
