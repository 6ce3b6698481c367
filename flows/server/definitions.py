"""The deployments that `prefect.yaml` describes, made those of a user's config.

Schedules, limits and triggers stand in `prefect.yaml` alone. `prefect deploy --all` deploys them as
they are; here the config, the names, and what a user chose take the place of the demo's. Prefect is
not imported.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flows.configs.pipeline_config import PipelineConfig
from flows.server.feature_events import features_resource

_FOLDER = Path(__file__).parent
_USUAL_STEM = "mocme"  # of a config, which then says nothing
_LONGEST_NAME = 60
_ID_DIGITS = 8
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")

Definition = dict[str, Any]
"""A deployment as `prefect.yaml` has it."""


@dataclass(frozen=True)
class DeploymentChoices:
    """What a user decides of the deployments.

    Attributes:
        pool: Name of the work pool; None: that of `prefect.yaml`.
        crons: Schedules that replace those of `prefect.yaml`, by flow.
        timezone: In which they are meant; None: that of `prefect.yaml`.
        is_scheduled: Whether there are schedules at all.
    """

    pool: str | None = None
    crons: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    is_scheduled: bool = True


def deployment_name(config_file: Path) -> str:
    """Return the name that all deployments of a config have: its own, readable and unique.

    Args:
        config_file: Absolute path of the config.
    """
    stem = config_file.stem
    words = [config_file.parent.name, *([] if stem == _USUAL_STEM else [stem])]
    plain = [_NOT_IN_A_NAME.sub("-", word).strip("-") for word in words]
    readable = "-".join(filter(None, plain))[:_LONGEST_NAME]
    digest = hashlib.sha256(os.fsencode(config_file)).hexdigest()[:_ID_DIGITS]
    return f"{readable}-{digest}".lstrip("-")


def full_names(config_file: Path) -> list[str]:
    """Return `FLOW/NAME` of all deployments of a config, whether they are on a server or not.

    Args:
        config_file: Absolute path of the config, which need not be there.
    """
    name = deployment_name(config_file)
    return [f"{it['name']}/{name}" for it in _read("prefect.yaml")["deployments"]]


def definitions_for(
    config_file: Path, config: PipelineConfig, parameter: Any, choices: DeploymentChoices
) -> list[Definition]:
    """Return the deployments of a config, by the entrypoints of `prefect.yaml`.

    Args:
        config_file: Absolute path of the config.
        config: What it holds.
        parameter: What the flows are given as their `config`.
        choices: What the user decides.
    """
    name = deployment_name(config_file)
    return [
        _for_config(it, name, config, parameter, choices)
        for it in _read("prefect.yaml")["deployments"]
    ]


def automations() -> list[dict[str, Any]]:
    """Return what `automations.yaml` describes."""
    found: list[dict[str, Any]] = _read("automations.yaml")["automations"]
    return found


def _for_config(
    described: Definition,
    name: str,
    config: PipelineConfig,
    parameter: Any,
    choices: DeploymentChoices,
) -> Definition:
    pool, cron = described["work_pool"], choices.crons.get(described["name"])
    schedules = described.get("schedules", []) if cron is None else [_schedule_of(described, cron)]
    if choices.timezone is not None:
        schedules = [{**it, "timezone": choices.timezone} for it in schedules]
    return {
        **described,
        "name": name,
        "tags": [*described["tags"], name],
        "parameters": {"config": parameter},
        "work_pool": {**pool, "name": choices.pool or pool["name"]},
        "schedules": schedules if choices.is_scheduled else [],
        "triggers": [_trigger_of(it, config) for it in described.get("triggers", [])],
    }


def _schedule_of(described: Definition, cron: str) -> dict[str, Any]:
    """Return a schedule that differs from the described one by its cron."""
    (schedule,) = described["schedules"]
    return {**schedule, "cron": cron}


def _trigger_of(described: Mapping[str, Any], config: PipelineConfig) -> dict[str, Any]:
    """Return a trigger by this config's features alone, whoever extracts them."""
    kept = {key: value for key, value in described.items() if key != "match_related"}
    return {**kept, "match": {"prefect.resource.id": features_resource(config)}}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))
    return found
