"""Puts deployments on a Prefect server: makes them, or brings those of their names up to date."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from extractors.loading import one_line
from flows.server.connection import require_server
from flows.server.definitions import Definition
from flows.server.temporary_server import ServerError

_POOL_TYPE = "process"
_TRIGGER = "{}__automation_1"  # as Prefect names a deployment's first trigger; none has more


@dataclass(frozen=True)
class Deployed:
    """One deployment, as the server has it now.

    Attributes:
        name: Its full name, `FLOW/NAME`.
        id: Its id on the server.
        schedules: Crons, each with its time zone.
        starts_by: Names of the events that start it.
    """

    name: str
    id: str
    schedules: list[str]
    starts_by: list[str]


@dataclass(frozen=True)
class DeployedConfig:
    """What was deployed.

    Attributes:
        server: Address of the server's API.
        work_pool: The pool whose workers run it.
        is_new_pool: Whether the pool was made for it.
        deployments: The deployments, in the order of `prefect.yaml`.
    """

    server: str
    work_pool: str
    is_new_pool: bool
    deployments: list[Deployed]


def deploy_all(
    definitions: Sequence[Definition], automations: Sequence[dict[str, Any]]
) -> DeployedConfig:
    """Put the deployments of a config on the server that Prefect's settings name.

    An absent work pool is made, of the type `process`, and so are absent automations.

    Args:
        definitions: The deployments, all in one work pool.
        automations: What the server does beside them.

    Raises:
        ServerError: If no server is named, or it does not answer or does not take them.
    """
    server = require_server()
    pool = str(definitions[0]["work_pool"]["name"])
    with _asking(server) as client:
        is_new = _make_pool(client, pool)
        _delete_triggers(client, str(definitions[0]["name"]))
        deployed = [_deploy(it) for it in definitions]
        for automation in automations:
            _make_automation(client, automation)
    return DeployedConfig(server, pool, is_new, deployed)


def remove_all(names: Sequence[str]) -> list[str]:
    """Take deployments off the server, with their triggers; return those that were there.

    Args:
        names: `FLOW/NAME` each.

    Raises:
        ServerError: If no server is named, or it does not answer.
    """
    removed = []
    with _asking(require_server()) as client:
        for own_name in {name.partition("/")[2] for name in names}:
            _delete_triggers(client, own_name)
        for name in names:
            with suppress(ObjectNotFound):
                client.delete_deployment(client.read_deployment_by_name(name).id)
                removed.append(name)
    return removed


@contextmanager
def _asking(server: str) -> Iterator[SyncPrefectClient]:
    """Yield a client; what the server refuses is a ServerError."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectException, DeploymentApplyError) as error:
        raise ServerError(
            f"{server}: found a server that refused: {one_line(str(error))}; "
            "allowed: a Prefect server of this version"
        ) from error


def _make_pool(client: SyncPrefectClient, name: str) -> bool:
    """Make a work pool, unless it is there; return whether it was made."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=name, type=_POOL_TYPE, base_job_template=template)
        client.create_work_pool(pool)
        return True
    return False


def _delete_triggers(client: SyncPrefectClient, name: str) -> None:
    """Delete the triggers of a config's deployments, also of those that somebody has deleted.

    The server leaves triggers behind when it deletes a deployment; they fail then.
    """
    for found in client.read_automations_by_name(_TRIGGER.format(name)):
        client.delete_automation(found.id)


def _deploy(described: Definition) -> Deployed:
    flow_name = described["entrypoint"].rpartition(":")[2]
    flow = getattr(importlib.import_module(f"flows.{flow_name}"), flow_name)
    made = RunnerDeployment.from_flow(
        flow,
        name=described["name"],
        description=described["description"],
        tags=described["tags"],
        parameters=described["parameters"],
        schedules=[{"schedule": CronSchedule(**it)} for it in described["schedules"]],
        concurrency_limit=ConcurrencyLimitConfig(**described["concurrency_limit"]),
        triggers=[DeploymentEventTrigger(**it) for it in described["triggers"]],
        work_pool_name=described["work_pool"]["name"],
        job_variables=described["work_pool"]["job_variables"],
        entrypoint_type=EntrypointType.MODULE_PATH,  # a worker imports it from where mocme is
    )
    return Deployed(
        made.full_name,
        str(made.apply()),
        [f"{it['cron']} {it['timezone']}" for it in described["schedules"]],
        [event for it in described["triggers"] for event in it["expect"]],
    )


def _make_automation(client: SyncPrefectClient, described: dict[str, Any]) -> None:
    """Make an automation, unless one of its name is there."""
    if not client.read_automations_by_name(described["name"]):
        client.create_automation(AutomationCore.model_validate(described))
