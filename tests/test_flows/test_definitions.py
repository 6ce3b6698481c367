"""The deployments of a config, as far as no server is needed: names, triggers, what is refused."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from small_runs import mocme

from flows.configs.pipeline_config import load_config
from flows.server.definitions import (
    DeploymentChoices,
    automations,
    definitions_for,
    deployment_name,
)
from flows.server.feature_events import features_resource

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config whose dataset can be read."""
    (tmp_path / "entities.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.tsv").write_text("a\tr\tb\n")
    path = tmp_path / "mocme.yaml"
    path.write_text("dataset: .\n")
    return path


def deploy(
    config: Path, *words: str, cwd: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Call `mocme deploy` where no server is named, unless the environment names one."""
    return subprocess.run(
        [sys.executable, "-m", "mocme", "deploy", str(config), *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**without_server(os.environ), **environment},
    )


def without_server(environment: Mapping[str, str]) -> dict[str, str]:
    ours = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    return {name: value for name, value in environment.items() if name not in ours}


@pytest.mark.parametrize("name", ["prefect.yaml", "automations.yaml"])
def test_the_package_holds_the_files_at_the_top(name: str) -> None:
    held = files("flows.server") / name
    assert held.read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        ("/home/me/zoo/mocme.yaml", "zoo-"),
        ("/home/you/zoo/mocme.yaml", "zoo-"),
        ("/home/me/zoo/night.yaml", "zoo-night-"),
        ("/home/me/my zoo & <more>/a.b.yaml", "my-zoo-more-a-b-"),
        ("/home/me/動物/mocme.yaml", ""),
        ("/mocme.yaml", ""),
        (f"/home/{'x' * 200}/mocme.yaml", "x" * 60 + "-"),
    ],
)
def test_a_name_is_readable_and_the_config_s_own(path: str, beginning: str) -> None:
    name = deployment_name(Path(path))
    assert name.startswith(beginning)
    digits = name.removeprefix(beginning)
    assert len(digits) == 8
    assert int(digits, 16) >= 0
    assert name != deployment_name(Path("/elsewhere") / Path(path).name)


def test_one_features_event_is_for_the_configs_of_one_dataset_in_one_store(config: Path) -> None:
    resource = features_resource(load_config(config))
    assert features_resource(load_config(config, ["train.epochs=3", "runs=r"])) == resource
    others = [load_config(config, [f"{key}=elsewhere"]) for key in ("dataset", "store")]
    assert len({resource, *map(features_resource, others)}) == 3


def test_definitions_differ_from_prefect_yaml_in_what_is_the_config_s(config: Path) -> None:
    settings = load_config(config)
    choices = DeploymentChoices("gpu", {"extract": "0 3 * * *"}, "Asia/Tokyo")
    made = definitions_for(config, settings, str(config), choices)
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    changed = {"name", "tags", "parameters", "work_pool", "schedules", "triggers"}
    for own, its in zip(made, described, strict=True):
        assert {key: own[key] for key in own.keys() - changed} == {
            key: its[key] for key in its.keys() - changed
        }
        assert own["work_pool"] == {**its["work_pool"], "name": "gpu"}
    assert made[0]["schedules"] == [{"cron": "0 3 * * *", "timezone": "Asia/Tokyo"}]
    assert made[4]["schedules"] == [{**described[4]["schedules"][0], "timezone": "Asia/Tokyo"}]
    ((trigger,),) = (it["triggers"] for it in made if it["triggers"])
    assert trigger["match"] == {"prefect.resource.id": features_resource(settings)}
    assert "match_related" not in trigger
    unscheduled = DeploymentChoices(is_scheduled=False)
    assert not any(
        it["schedules"] for it in definitions_for(config, settings, str(config), unscheduled)
    )


def test_the_automations_are_those_of_the_file() -> None:
    assert [it["name"] for it in automations()] == ["mocme-start-again-what-died"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_server_one_line_says_how_to_start_one(
    config: Path, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = deploy(config, *words, PREFECT_HOME=str(tmp_path / "home"))
    assert done.returncode == 2
    assert "found no Prefect server; allowed: " in done.stderr
    assert "prefect server start" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_server_that_does_not_answer_is_named(config: Path) -> None:
    done = deploy(config, PREFECT_API_URL="http://user:secret@127.0.0.1:9/api")
    assert done.returncode == 2
    assert "no Prefect server that answers at http://127.0.0.1:9/api" in done.stderr
    assert "secret" not in done.stderr
    assert "to run without" not in done.stderr


@pytest.mark.parametrize(
    "cron", ["", "0 2 * *", "61 * * * *", "0 0 2 * * *", "0 0 30 2 *", "H 2 * * *"]
)
def test_bad_crons_are_refused(cron: str) -> None:
    from flows.configs.config_source import ConfigError
    from flows.server.crons import check_cron

    with pytest.raises(ConfigError, match=r"--extract-cron: found .*; allowed: five fields"):
        check_cron("--extract-cron", cron)


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/15 8-18 * * mon-fri", "0 0 29 2 *", "@daily"])
def test_good_crons_are_not(cron: str) -> None:
    from flows.server.crons import check_cron

    check_cron("--extract-cron", cron)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "dataset=nowhere"), "nowhere: found no such folder"),
        (("--pool", "a/b"), "--pool: found 'a/b'"),
        (("--pool", ""), "--pool: found ''"),
        (("--remove", "--pool", "gpu"), "give --remove with CONFIG alone"),
        (("--timezone", "Mars/Olympus"), "--timezone: found 'Mars/Olympus'"),
        (("--no-schedule", "--timezone", "UTC"), "not both"),
    ],
)
def test_input_is_refused_before_a_server_is_looked_for(
    config: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", without_server(os.environ))
    done = mocme("deploy", config, *words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "Prefect server" not in done.stderr


def test_a_config_that_will_be_gone_is_refused(config: Path) -> None:
    with config.open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "mocme", "deploy", "/dev/stdin"],
            stdin=file,
            capture_output=True,
            text=True,
            cwd=config.parent,
        )
    assert done.returncode == 2
    assert "/dev/stdin: found a config that is no file" in done.stderr
