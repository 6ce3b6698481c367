"""What a Prefect server sees: parameters, states, artifacts, events, deployments."""

import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from small_runs import SMALL, small

import flows.extract
import flows.server.artifacts
import flows.server.progress
from flows.configs.pipeline_config import load_config
from flows.server.artifacts import PublishedProgress
from storage.words.visible import plain_markdown

ROOT = Path(__file__).parents[2]
FLOWS = ["extract", "train", "evaluate", "predict", "pipeline"]
CLIENT = httpx.Client(trust_env=False)  # each new one reads all certificates


def flow_named(name: str) -> Any:
    return getattr(importlib.import_module(f"flows.{name}"), name)


def post(address: str, body: Any) -> Any:
    """Ask the temporary server, which answers this process alone."""
    name, secret = os.environ["PREFECT_API_AUTH_STRING"].split(":", 1)
    return CLIENT.post(address, json=body, auth=(name, secret)).json()


def eventually(read: Callable[[], Any]) -> Any:
    """Return what a server says, once it says anything: it takes in events in its own time."""
    for _ in range(100):
        if found := read():
            return found
        time.sleep(0.1)
    return pytest.fail("the server never said")


@pytest.mark.parametrize("name", FLOWS)
def test_file_flow_and_parameter_share_their_names(name: str) -> None:
    flow = flow_named(name)
    assert flow.name == name
    assert next(iter(flow.parameters.properties)) == "config"
    assert flow.parameters.required == ["config"]


def test_bad_parameters_are_refused_by_the_fields_name() -> None:
    flow = flow_named("pipeline")
    with pytest.raises(Exception, match="epochs"):
        flow.validate_parameters({"config": {"dataset": "d", "train": {"epochs": 0}}})
    with pytest.raises(Exception, match="epocs"):
        flow.validate_parameters({"config": {"dataset": "d", "train": {"epocs": 1}}})


def test_a_server_validates_by_the_schema() -> None:
    from prefect.utilities.schema_tools.validation import validate

    schema = flow_named("pipeline").parameters.model_dump()
    good: dict[str, Any] = {"dataset": "d", "modalities": {"text": {"extractor": "text_hash"}}}
    assert validate({"config": good}, schema) == []
    assert validate({"config": "run.yaml"}, schema) == []
    assert validate({"config": {**good, "train": {"epochs": 0}}}, schema)
    assert validate({"config": {**good, "model": {"scorer": "complx"}}}, schema)


@pytest.mark.parametrize("as_object", [False, True])
def test_a_flow_takes_a_path_or_the_whole_config(
    project: Path, as_object: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config(project / "mocme.yaml", SMALL)
    (written := project / "small.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    parameter = config.model_dump(mode="json") if as_object else str(written)
    record = flow_named("pipeline")(parameter)
    assert set(record["stages"].values()) == {"skipped"}
    assert [entry for entry in caplog.records if entry.levelname in ("WARNING", "ERROR")] == []


def test_skipped_stages_and_modalities_are_shown_as_cached(
    project: Path, prefect_server: str
) -> None:

    small("run", project / "mocme.yaml")
    latest = {"sort": "START_TIME_DESC", "limit": 1, "flows": {"name": {"any_": ["pipeline"]}}}
    (run,) = post(f"{prefect_server}/flow_runs/filter", latest)
    tasks = {"flow_runs": {"id": {"any_": [run["id"]]}}}

    def states() -> dict[str, str] | None:
        found = post(f"{prefect_server}/task_runs/filter", tasks)
        names = {
            task["name"].split("-")[0] + task["name"][-5:]: task["state_name"] for task in found
        }
        under_way = {"Pending", "Running"} & set(names.values())
        return names if len(names) == 8 and not under_way else None

    assert set(eventually(states).values()) == {"Cached"}


def latest_artifact(server: str, key: str) -> dict[str, Any]:
    wanted = {"artifacts": {"key": {"any_": [key]}}}
    (found,) = post(f"{server}/artifacts/latest/filter", wanted)
    return dict(found)


def test_tables_and_links_are_published(project: Path, prefect_server: str) -> None:
    command = small("run", project / "mocme.yaml")

    def latest(key: str) -> Any:
        return yaml.safe_load(latest_artifact(prefect_server, key)["data"])

    rows = {row["modality"]: row for row in latest("mocme-extraction")}
    assert rows["image"]["cached"] > 0
    assert rows["image"]["store"].startswith(plain_markdown(str(project)))
    assert {row["reason"] for row in latest("mocme-extraction-failures")}
    assert {row["status"] for row in latest("mocme-stages")} == {"skipped"}
    assert {row["split"] for row in latest("mocme-metrics")} == {"test", "test_clean", "valid"}
    for key, name in (("mocme-run", "run_dir"), ("mocme-failures", "failures")):
        address = Path(command.json[name]).as_uri()
        assert f"({address})" in latest_artifact(prefect_server, key)["data"]


def test_progress_is_published(
    extracted: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows.server.progress, "SECONDS_BETWEEN", 0.0)
    assert small("train", extracted / "mocme.yaml").exit_code == 0
    found = latest_artifact(prefect_server, "mocme-progress")
    assert (found["type"], found["data"]) == ("progress", 100)
    assert found["description"] == "train: done"
    assert found["task_run_id"] is not None


def test_a_server_that_is_not_there_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def refuse(*_: object, **__: object) -> None:
        told.append(1)
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(flows.server.artifacts, "create_progress_artifact", refuse)
    published = PublishedProgress()
    for percent in (10.0, 20.0):
        published.tell("train", percent, "on its way")
    published.finish("train")
    assert told == [1]


def test_new_features_are_announced_once_and_by_the_extract_flow_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[dict[str, Any]] = []
    monkeypatch.setattr(
        flows.extract,
        "emit_event",
        lambda event, **what: announced.append({"event": event, **what}),
    )
    small("extract", project / "mocme.yaml")
    assert announced == []
    small("extract", project / "mocme.yaml", "modalities.image.size=32")
    (event,) = announced
    assert event["event"] == "mocme.features.updated"
    assert set(event["payload"]["new"]) == {"image"}
    small("train", project / "mocme.yaml", "modalities.image.size=48", "train.epochs=1")
    assert len(announced) == 1


def test_every_flow_is_deployed_under_its_name() -> None:
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployments = {deployment["name"]: deployment for deployment in described["deployments"]}
    assert list(deployments) == FLOWS
    for name, deployment in deployments.items():
        assert deployment["entrypoint"] == f"flows/{name}.py:{name}"
        assert deployment["concurrency_limit"]["collision_strategy"] == "ENQUEUE"
        assert set(deployment["parameters"]) == {"config"}
    (trigger,) = deployments["train"]["triggers"]
    assert trigger["expect"] == [flows.extract.FEATURES_UPDATED]
    assert {name for name, found in deployments.items() if "schedules" in found} == {
        "extract",
        "pipeline",
    }


def test_a_run_is_given_up_only_after_three_heartbeats() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    described = yaml.safe_load((ROOT / "automations.yaml").read_text())
    (automation,) = described["automations"]
    tag = automation["trigger"]["match_related"]["prefect.resource.id"].removeprefix("prefect.tag.")
    for deployment in deployments:
        environment = deployment["work_pool"]["job_variables"]["env"]
        seconds = int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert automation["trigger"]["within"] > 3 * seconds
        assert tag in deployment["tags"]
