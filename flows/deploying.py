"""Deploys a user's config to a Prefect server, once the config and its dataset were checked."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from flows.configs.config_source import ConfigError
from flows.configs.pipeline_config import load_config
from flows.inputs import check_inputs
from flows.local_runs import import_with_prefect, prefect_surroundings
from flows.server.definitions import (
    DeploymentChoices,
    automations,
    definitions_for,
    full_names,
)
from flows.server.surroundings import prepare_environment
from flows.stages.run_record import RunRecord
from flows.terminal.output import STDERR
from storage.words.suggestion import did_you_mean

if TYPE_CHECKING:
    from flows.server.deployments import DeployedConfig

_POOL_NAME = re.compile(r"[^/%&<>\s][^/%&<>]*")
_NOT_TO_STAY = ("/dev/", "/proc/")  # names of what a process has open


def deploy_config(
    config_file: Path, overrides: Sequence[str], choices: DeploymentChoices
) -> "DeployedConfig":
    """Deploy a config, or bring its deployments up to date.

    The flows are given the config's path, so that they read it anew each time; with overrides, the
    whole config as it is now.

    Args:
        config_file: The YAML file.
        overrides: `a.b=value` each.
        choices: Work pool and schedules.

    Raises:
        ConfigError: If config or schedules cannot be used.
        MocmeError: If the dataset cannot be read, or the config does not fit it.
        ServerError: If no server is named, or it does not answer.
    """
    prepare_environment()
    config = load_config(config_file, overrides)
    path = _lasting_path(config_file)
    parameter = config.model_dump(mode="json") if overrides else str(path)
    _check_text(path, parameter)
    _check_pool(choices.pool)
    _check_timezone(choices.timezone)
    with STDERR.status("reading the input"):
        check_inputs("pipeline", config, RunRecord())
    definitions = definitions_for(path, config, parameter, choices)
    with prefect_surroundings(), STDERR.status("deploying"):
        crons = import_with_prefect("flows.server.crons")
        for flow, cron in choices.crons.items():
            crons.check_cron(f"--{flow}-cron", cron)
        deployments = import_with_prefect("flows.server.deployments")
        deployed: DeployedConfig = deployments.deploy_all(definitions, automations())
        return deployed


def remove_config(config_file: Path) -> list[str]:
    """Take the deployments of a config off the server, and return the names of those it had.

    Args:
        config_file: The YAML file, which may be gone.

    Raises:
        ServerError: If no server is named, or it does not answer.
    """
    names = full_names(Path(os.path.abspath(config_file)))  # noqa: PTH100 - resolves no links
    with prefect_surroundings(), STDERR.status("removing"):
        deployments = import_with_prefect("flows.server.deployments")
        removed: list[str] = deployments.remove_all(names)
        return removed


def _lasting_path(config_file: Path) -> Path:
    """Return the absolute path of a file that will be there when a flow runs; links stay."""
    path = Path(os.path.abspath(config_file))  # noqa: PTH100 - resolves no links
    if not path.is_file() or str(path).startswith(_NOT_TO_STAY):
        raise ConfigError(
            f"{config_file}: found a config that is no file; allowed: a file, which the "
            "deployments' runs read again"
        )
    return path


def _check_text(path: Path, parameter: Any) -> None:
    """Refuse paths that no server can be told of."""
    try:
        json.dumps(parameter, ensure_ascii=False).encode()
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{path}: found a path that is not UTF-8; allowed: paths that a Prefect server can keep"
        ) from error


def _check_pool(name: str | None) -> None:
    if name is not None and not _POOL_NAME.fullmatch(name):
        raise ConfigError(f"--pool: found {name!r}; allowed: a name without / % & < >")


def _check_timezone(timezone: str | None) -> None:
    if timezone is None or timezone in (known := available_timezones()):
        return
    raise ConfigError(
        f"--timezone: found {timezone!r}{did_you_mean(timezone, sorted(known))}; allowed: a name "
        "of the IANA list, such as UTC or Europe/Berlin"
    )
