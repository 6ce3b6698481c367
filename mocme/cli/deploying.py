"""The `deploy` command: scheduled runs of a config on a Prefect server."""

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.server.definitions import DeploymentChoices
from flows.terminal.output import STDOUT, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile, Overrides
from mocme.tables import table

if TYPE_CHECKING:
    from flows.server.deployments import DeployedConfig


def deploy(
    config: ConfigFile,
    overrides: Overrides = None,
    pool: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Work pool; made if absent. By default mocme."),
    ] = None,
    extract_cron: Annotated[
        str | None,
        typer.Option(metavar="CRON", help="When to extract; by default every night."),
    ] = None,
    pipeline_cron: Annotated[
        str | None,
        typer.Option(metavar="CRON", help="When to run all stages; by default every week."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of the schedules, as Europe/Berlin; by default UTC."),
    ] = None,
    no_schedule: Annotated[
        bool, typer.Option("--no-schedule", help="Run only when asked to, or by new features.")
    ] = False,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Take the deployments of CONFIG, which may be gone, away."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy a config to the Prefect server that PREFECT_API_URL or the profile names.

    Each flow becomes a deployment of the config's own: extract every night, train whenever that
    finds anything new, all stages every week. The runs read the config anew; with --set, they are
    given it as it is now. Called again, it brings the same deployments up to date.

    Example:  mocme deploy data/demo/mocme.yaml --extract-cron "30 1 * * *" --timezone Europe/Berlin
    """
    from flows.deploying import deploy_config

    if remove:
        if overrides or pool or extract_cron or pipeline_cron or timezone or no_schedule:
            raise typer.BadParameter("give --remove with CONFIG alone")
        _remove(config, as_json=as_json)
        return
    given = {"extract": extract_cron, "pipeline": pipeline_cron}
    crons = {flow: cron for flow, cron in given.items() if cron is not None}
    if no_schedule and (crons or timezone is not None):
        raise typer.BadParameter("give --no-schedule, or schedules and their time zone, not both")
    choices = DeploymentChoices(pool, crons, timezone, not no_schedule)
    deployed = deploy_config(config, overrides or (), choices)
    if as_json:
        print_json({**asdict(deployed), "commands": _commands(deployed)})
    else:
        _print(deployed)


def _remove(config: Path, *, as_json: bool) -> None:
    from flows.deploying import remove_config

    removed = remove_config(config)
    if as_json:
        print_json({"removed": removed})
    elif removed:
        print_line(f"removed: {', '.join(removed)}")
    else:
        print_line(f"nothing to remove: the server has no deployment of {config}")


def _commands(deployed: "DeployedConfig") -> list[str]:
    """Return what to call next: for a worker, and for a run at once."""
    pool = shlex.quote(deployed.work_pool)
    last = shlex.quote(deployed.deployments[-1].name)
    is_in_profile = "PREFECT_API_URL" not in os.environ
    server = "" if is_in_profile else f"PREFECT_API_URL={shlex.quote(deployed.server)} "
    return [
        f"{server}prefect worker start --pool {pool} --limit 1",
        f"{server}prefect deployment run {last}",
    ]


def _print(deployed: "DeployedConfig") -> None:
    rows = [
        (it.name, ", ".join([*it.schedules, *(f"event {name}" for name in it.starts_by)]))
        for it in deployed.deployments
    ]
    STDOUT.print(table(f"Deployed to {deployed.server}", ["deployment", "runs at or by"], rows))
    if deployed.is_new_pool:
        print_line(f"work pool {deployed.work_pool}: made")
    worker, run = _commands(deployed)
    print_line(f"a worker, which runs what is due:  {worker}")
    print_line(f"a run now:  {run}")
