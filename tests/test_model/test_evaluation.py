"""The evaluation of a finished run: groups of ranks that add up to the whole."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_graph import World
from small_training import SMALL_MODEL, everything_in, train_config

from model.evaluation.evaluate import evaluate_run
from model.evaluation.ranking import known_answers, rank, rank_metrics
from model.runs.run_folder import RunFolder
from model.training.train import train


@pytest.fixture(scope="module")
def found(finished_run: Path) -> dict[str, Any]:
    return evaluate_run(finished_run)


def mean_of(groups: dict[str, dict[str, float]], metric: str) -> float:
    """Mean of a metric over groups, by their numbers of ranks."""
    counts = [group["num_ranks"] for group in groups.values()]
    return float(np.average([group[metric] for group in groups.values()], weights=counts))


def test_the_whole(found: dict[str, Any], world: World, finished_run: Path) -> None:
    scoring = RunFolder(finished_run).read_scoring()
    known = known_answers(world.graph, torch.device("cpu"))
    for split in ("test", "valid"):
        expected = rank(scoring, world.graph.split(split), known).metrics()
        assert found[split] == pytest.approx(expected)
        assert found[split]["num_ranks"] == 2 * len(world.graph.split(split))


@pytest.mark.parametrize("metric", ["mrr", "hits_at_1", "hits_at_3", "hits_at_10", "mr"])
@pytest.mark.parametrize("groups", ["per_side", "per_relation"])
def test_groups_add_up_to_the_whole(found: dict[str, Any], groups: str, metric: str) -> None:
    assert mean_of(found[groups], metric) == pytest.approx(found["test"][metric])


def test_groups_are_what_they_say(found: dict[str, Any], world: World, finished_run: Path) -> None:
    graph = world.graph
    assert list(found["per_relation"]) == list(graph.relations)
    answers = np.concatenate([graph.test[:, 2], graph.test[:, 0]])
    ranking = rank(
        RunFolder(finished_run).read_scoring(),
        graph.test,
        known_answers(graph, torch.device("cpu")),
    )
    ranks = np.concatenate([ranking.tail_ranks, ranking.head_ranks])
    for name, has in (("image", world.has_image), ("text", world.has_text)):
        expected = rank_metrics(ranks[has[answers]])
        assert found["per_modality"][name] == pytest.approx(expected)
    unseen = ~graph.seen_in_training[graph.test[:, [0, 2]]].all(1)
    assert found["unseen_entities"]["num_ranks"] == 2 * unseen.sum() > 0


def test_the_clean_test_leaves_out_duplicates_and_leaks(world: World, tmp_path: Path) -> None:
    graph = world.graph
    dirty = np.concatenate([graph.test, graph.test[:4], graph.train[:3], graph.valid[:2]])
    config = train_config(epochs=1)
    published = replace(graph, test=dirty)
    train(published, world.tables(), SMALL_MODEL, config, tmp_path / "dirty")
    train(graph, world.tables(), SMALL_MODEL, config, tmp_path / "clean")
    found, expected = evaluate_run(tmp_path / "dirty"), evaluate_run(tmp_path / "clean")
    assert found["test"]["num_ranks"] == 2 * len(dirty)
    assert found["test_clean"] == pytest.approx(expected["test"])
    assert found["audit"]["splits"]["test"]["duplicates"] == 4


def test_is_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_is_json_where_every_entity_was_seen(
    world: World, finished_run: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished_run, tmp_path / "run"))
    seen = world.graph.seen_in_training[world.graph.test[:, 0]]
    RunFolder(run_dir).create(replace(world.graph, test=world.graph.test[seen]))
    shutil.copy(finished_run / "scoring.safetensors", run_dir)
    json.dumps(evaluate_run(run_dir), allow_nan=False)


def test_evaluating_changes_nothing(finished_run: Path, found: dict[str, Any]) -> None:
    before = everything_in(finished_run)
    assert evaluate_run(finished_run) == found
    assert everything_in(finished_run) == before
