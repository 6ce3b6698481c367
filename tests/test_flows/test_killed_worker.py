"""A machine loses its power in the middle of an extraction; the run is completed all the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster_world
import pytest
import yaml
from cluster_world import contents
from team_server import ROOT, TeamServer

SECONDS_WITHOUT_HEARTBEAT = 35  # heartbeats come every 30 s, Prefect allows no more

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def team(tmp_path: Path) -> Iterator[TeamServer]:
    """A server with the project's deployments and automations, a worker, and slow pictures."""
    team = TeamServer(tmp_path / "checkout")
    cluster_world.write_pictures(team.folder / "pictures", side=900)
    automations = yaml.safe_load((ROOT / "automations.yaml").read_text())
    for found in automations["automations"]:
        found["trigger"]["within"] = SECONDS_WITHOUT_HEARTBEAT
    (team.folder / "automations.yaml").write_text(yaml.safe_dump(automations))
    try:
        team.start_server()
        team.prefect("work-pool", "create", "mocme", "--type", "process")
        team.prefect("--no-prompt", "deploy", "--all")
        team.prefect("automation", "create", "--from-file", "automations.yaml")
        team.start_worker()
        yield team
    finally:
        team.stop_all()


def test_what_a_killed_worker_ran_is_completed_by_the_next_one(team: TeamServer) -> None:
    store = team.folder / "pictures" / "store"
    created = team.create_run("extract", config="pictures/mocme.yaml").raise_for_status().json()
    team.eventually(lambda: len(stored(store)) >= 4)
    team.kill("worker")
    before = stored(store)
    assert 4 <= len(before) < cluster_world.NUM_PICTURES
    assert team.flow_run(created["id"])["state_type"] == "RUNNING"  # nobody has told the server

    team.start_worker()
    run = team.ended(created["id"])
    assert (run["state_type"], run["run_count"]) == ("COMPLETED", 2)
    (row,) = (it for it in team.artifact(run, "mocme-extraction") if it["modality"] == "image")
    assert row["cached"] == sum(not isinstance(found, str) for found in before.values())
    assert row["new"] + row["cached"] + row["failed"] == cluster_world.NUM_PICTURES
    after = stored(store)
    assert len(after) == cluster_world.NUM_PICTURES
    assert before.items() <= after.items()


def stored(store: Path) -> dict[bytes, Any]:
    """Return what is stored of the pictures."""
    found = {space: rows for space, rows in contents(store).items() if "image" in space}
    return next(iter(found.values()), {})
