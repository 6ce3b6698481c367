"""prefect.yaml as a team uses it: a server, a worker, scheduled runs, a trigger.

One server and worker for all tests, which follow each other as days do.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
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

    @pytest.mark.slow
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
        assert row["reason"].startswith("modalities.image.content changed")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The configs of two users, each with a graph of its own, in folders of the same name."""
    made = []
    for family in ("cats", "dogs"):
        folder = tmp_path_factory.mktemp(family) / "my animals"
        folder.mkdir()
        animals = [f"{family}-{number}" for number in range(12)]
        entities = [{"id": name, "text": f"One of the {family}."} for name in (*animals, family)]
        (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, entities)))
        facts = [f"{name}\tmember_of\t{family}\n" for name in animals]
        facts += [f"{one}\tbeside\t{other}\n" for one, other in pairwise(animals)]
        (folder / "triples.tsv").write_text("".join(facts))
        config = {"dataset": ".", "modalities": {"text": {"extractor": "text_hash"}}}
        (folder / "mocme.yaml").write_text(json.dumps(config))
        write_small_config(folder)
        made.append(folder / "mocme.yaml")
    return made[0], made[1]


def names_of(deployed: dict[str, Any]) -> dict[str, str]:
    return {it["name"].partition("/")[0]: it["name"] for it in deployed["deployments"]}


@pytest.fixture(scope="module")
def deployed(team: TeamServer, graphs: tuple[Path, Path]) -> tuple[dict[str, str], ...]:
    """The names of the deployments of the two configs, by flow."""
    return tuple(names_of(team.deploy(config)) for config in graphs)


class TestConfigsOfTheirOwn:
    """`mocme deploy` for two users, on the server and by the worker of the days above."""

    def test_each_config_has_its_own_deployments_with_the_schedules_of_prefect_yaml(
        self, team: TeamServer, graphs: tuple[Path, Path], deployed: tuple[dict[str, str], ...]
    ) -> None:
        first, second = deployed
        assert list(first) == list(second) == list(FLOWS)
        assert not set(first.values()) & set(second.values())
        for flow, name in first.items():
            own, described = team.deployment(name), team.deployment(flow)
            assert own["parameters"] == {"config": str(graphs[0])}
            for key in ("description", "work_pool_name", "job_variables", "concurrency_options"):
                assert own[key] == described[key]
            assert own["global_concurrency_limit"]["limit"] == 1
            assert crons(own) == crons(described)
            assert set(own["tags"]) > set(described["tags"])

    @pytest.mark.slow
    def test_a_second_call_updates(self, team: TeamServer, graphs: tuple[Path, Path]) -> None:
        before = team.deploy(graphs[0])
        after = team.deploy(graphs[0], "--extract-cron", "30 1 * * *", "--timezone", "Asia/Tokyo")
        assert [it["id"] for it in after["deployments"]] == [
            it["id"] for it in before["deployments"]
        ]
        extract = team.deployment(names_of(after)["extract"])
        assert crons(extract) == [("30 1 * * *", "Asia/Tokyo")]
        assert extract["global_concurrency_limit"]["limit"] == 1
        team.deploy(graphs[0], "--no-schedule")
        assert crons(team.deployment(names_of(after)["extract"])) == []
        train = team.deployment(names_of(after)["train"])
        automations = team.post("automations/filter", {}).json()
        actions = [action for it in automations for action in it["actions"]]
        assert sum(action.get("deployment_id") == train["id"] for action in actions) == 1
        again = [it["name"] for it in automations].count("mocme-start-again-what-died")
        assert again == 1

    @pytest.mark.slow
    def test_a_pool_of_another_name_is_made(
        self, team: TeamServer, graphs: tuple[Path, Path]
    ) -> None:
        deployed = team.deploy(graphs[1], "--pool", "second", "--set", "train.epochs=3")
        assert deployed["is_new_pool"]
        found = team.deployment(names_of(deployed)["train"])
        assert found["work_pool_name"] == "second"
        assert found["parameters"]["config"]["train"]["epochs"] == 3
        assert found["parameters"]["config"]["dataset"] == str(graphs[1].parent)
        assert not team.deploy(graphs[1])["is_new_pool"]
        assert team.deployment(names_of(deployed)["train"])["work_pool_name"] == "mocme"

    @pytest.mark.slow
    def test_new_features_start_the_training_of_their_config_alone(
        self, team: TeamServer, graphs: tuple[Path, Path]
    ) -> None:
        own, others = (names_of(team.deploy(config)) for config in graphs)
        of_the_demo = len(team.runs_of("train"))
        assert team.run(own["extract"])["state_type"] == "COMPLETED"
        (started,) = team.eventually(
            lambda: [it for it in team.runs_of(own["train"]) if it["state_type"] == "COMPLETED"]
        )
        assert started["created_by"]["type"] == "AUTOMATION"
        assert started["parameters"] == {"config": str(graphs[0]), "new_features": {"text": 13}}
        assert statuses(team, started) == {"extract": "skipped", "train": "ran"}
        assert (graphs[0].parent / "data" / "runs" / "newest").exists()
        assert team.runs_of(others["train"]) == []
        assert len(team.runs_of("train")) == of_the_demo

    @pytest.mark.slow
    def test_a_deployment_that_was_deleted_by_hand_leaves_no_trigger_behind(
        self, team: TeamServer, graphs: tuple[Path, Path]
    ) -> None:
        name = names_of(team.deploy(graphs[1]))["train"]
        team.prefect("--no-prompt", "deployment", "delete", name)
        team.deploy(graphs[1])
        assert self.triggered(team, name) == [team.deployment(name)["id"]]
        team.prefect("--no-prompt", "deployment", "delete", name)
        assert name not in team.deploy(graphs[1], "--remove")["removed"]
        assert self.triggered(team, name) == []

    def triggered(self, team: TeamServer, name: str) -> list[str]:
        """Return the ids of the deployments that the triggers named as one deployment start."""
        found = team.post("automations/filter", {}).json()
        trigger = f"{name.partition('/')[2]}__automation_1"
        return [it["actions"][0]["deployment_id"] for it in found if it["name"] == trigger]

    @pytest.mark.slow
    def test_a_run_reads_the_config_as_it_is_then(
        self, team: TeamServer, graphs: tuple[Path, Path], deployed: tuple[dict[str, str], ...]
    ) -> None:
        text = graphs[0].read_text()
        graphs[0].write_text(text.replace("epochs: 2", "epochs: 1"))
        run = team.run(deployed[0]["train"])
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        newest = graphs[0].parent / "data" / "runs" / "newest"
        assert yaml.safe_load((newest / "config.yaml").read_text())["train"]["epochs"] == 1

    @pytest.mark.slow
    def test_what_is_removed_leaves_nothing_and_no_one_else_s(
        self, team: TeamServer, graphs: tuple[Path, Path]
    ) -> None:
        own, others = (names_of(team.deploy(config)) for config in graphs)
        before = {it["name"] for it in team.post("automations/filter", {}).json()}
        graphs[0].unlink()
        assert team.deploy(graphs[0], "--remove") == {"removed": list(own.values())}
        left = {it["name"] for it in team.post("automations/filter", {}).json()}
        (trigger,) = before - left
        assert trigger.startswith(own["train"].removeprefix("train/"))
        assert team.deployment(others["extract"])["name"]
        assert team.deploy(graphs[0], "--remove") == {"removed": []}


def crons(deployment: dict[str, Any]) -> list[tuple[str, str]]:
    schedules = [it["schedule"] for it in deployment["schedules"]]
    return [(it["cron"], it["timezone"]) for it in schedules]


def edit_a_picture(dataset: Path) -> None:
    """Change the pixels of one picture that is one entity's."""
    from PIL import Image

    for entity in read_dataset(dataset).entities:
        for name in entity.fields.get("image") or ():  # type: ignore[attr-defined]
            if str(name).endswith(".png") and "broken" not in str(name):
                Image.new("RGB", (48, 48), (10, 200, 30)).save(dataset / str(name))
                return
    pytest.fail("the sample has no picture")
