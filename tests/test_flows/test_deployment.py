"""prefect.yaml as a team uses it: a server, a worker, scheduled runs, a trigger.

One server and worker for all tests, which follow each other as days do.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from team_server import TeamServer, write_small_config

from extractors.sample import write_sample
from storage.datasets.dataset import read_dataset

FLOWS = ("extract", "train", "evaluate", "predict", "pipeline")
CONFIG = "data/demo/mocme.yaml"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    """A server with the project's deployments, a worker, and a dataset."""
    team = TeamServer(tmp_path_factory.mktemp("team") / "checkout")
    demo = team.folder / "data" / "demo"
    demo.parent.mkdir()
    write_sample(demo, num_things=60)
    write_small_config(demo)
    try:
        team.start_server()
        team.prefect("work-pool", "create", "mocme", "--type", "process")
        team.prefect("work-pool", "set-concurrency-limit", "mocme", "1")
        team.prefect("--no-prompt", "deploy", "--all")
        team.start_worker()
        yield team
    finally:
        team.stop_all()


def statuses(team: TeamServer, run: dict[str, Any]) -> dict[str, str]:
    return {row["stage"]: row["status"] for row in team.artifact(run, "mocme-stages")}


class TestATeamsDays:
    def test_every_flow_is_there_with_its_schedule(self, team: TeamServer) -> None:
        found = {name: team.deployment(name) for name in FLOWS}
        schedules = {
            name: [entry["schedule"]["cron"] for entry in deployment["schedules"]]
            for name, deployment in found.items()
        }
        assert {name: crons for name, crons in schedules.items() if crons} == {
            "extract": ["0 2 * * *"],
            "pipeline": ["0 4 * * 0"],
        }
        scheduled = team.eventually(lambda: team.runs_of("extract"))
        assert {run["state_type"] for run in scheduled} == {"SCHEDULED"}

    def test_a_run_of_the_pipeline_completes_and_shows_what_it_did(self, team: TeamServer) -> None:
        run = team.run("pipeline")
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        assert set(statuses(team, run).values()) == {"ran"}
        assert {row["split"] for row in team.artifact(run, "mocme-metrics")} >= {"test", "valid"}
        assert sum(row["new"] for row in team.artifact(run, "mocme-extraction")) > 0

    def test_bad_parameters_are_refused_when_a_run_is_asked_for(self, team: TeamServer) -> None:
        bad = {"dataset": "data/demo", "train": {"epochs": 0}}
        answer = team.create_run("pipeline", config=bad)
        assert answer.is_client_error
        assert "epochs" in answer.text
        assert len([run for run in team.runs_of("pipeline") if run["run_count"]]) == 1

    def test_caches_outlive_the_server(self, team: TeamServer) -> None:
        team.stop("worker")
        team.stop("server")
        team.start_server()
        team.start_worker()
        run = team.run("pipeline")
        assert set(statuses(team, run).values()) == {"skipped"}

    def test_one_edited_picture_is_extracted_alone_and_starts_a_training(
        self, team: TeamServer
    ) -> None:
        edit_a_picture(team.folder / "data" / "demo")
        run = team.run("extract")
        new = {row["modality"]: row["new"] for row in team.artifact(run, "mocme-extraction")}
        assert {name: count for name, count in new.items() if count} == {"image": 1}

        (started,) = team.eventually(
            lambda: [run for run in team.runs_of("train") if run["state_type"] == "COMPLETED"]
        )
        assert started["created_by"]["type"] == "AUTOMATION"
        assert started["parameters"] == {"config": CONFIG, "new_features": {"image": 1}}
        assert statuses(team, started) == {"extract": "skipped", "train": "ran"}
        (row,) = (it for it in team.artifact(started, "mocme-stages") if it["stage"] == "train")
        assert row["reason"] == "modalities.image.content changed"


def edit_a_picture(dataset: Path) -> None:
    """Change the pixels of one picture that is one entity's."""
    from PIL import Image

    for entity in read_dataset(dataset).entities:
        for name in entity.fields.get("image") or ():  # type: ignore[attr-defined]
            if str(name).endswith(".png") and "broken" not in str(name):
                Image.new("RGB", (48, 48), (10, 200, 30)).save(dataset / str(name))
                return
    pytest.fail("the sample has no picture")
