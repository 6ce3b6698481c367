"""Runs a flow in this process under Prefect, quietly."""

import importlib
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.exit_codes import INPUT_ERROR, RUN_FAILED
from flows.inputs import check_inputs, check_machine
from flows.server.proxies import set_proxies_right
from flows.server.surroundings import empty_folder, prepare_environment
from flows.server.temporary_server import TemporaryServer
from flows.stages.run_record import RunRecord, start_record, take_record
from flows.terminal.output import STDERR, print_warning
from storage.errors import MocmeError
from storage.isolation import working_in

_ENGINE_MODULES = {"flow_engine", "task_engine"}


def run_locally(
    name: str, config: Path, overrides: Sequence[str], *, verbose: bool = False
) -> tuple[RunRecord, int]:
    """Run a flow on a config, whose input is read and checked before Prefect is imported.

    Args:
        name: The flow, and its module.
        config: YAML file.
        overrides: `a.b=value` each.
        verbose: Whether to show Prefect's own log, and tracebacks.

    Returns:
        What the run did, its error included, and the exit code that it deserves.
    """
    record = start_record()
    exit_code = _attempt(
        lambda: _call(name, load_config(config, overrides), record, verbose), record, verbose
    )
    take_record()  # lest a later flow fills that of one that was never called
    return record, exit_code


def _call(name: str, config: PipelineConfig, record: RunRecord, verbose: bool) -> None:
    prepare_environment()  # extractors may import libraries that read it
    with working_in(empty_folder()), STDERR.status("reading the input"):
        check_machine(name, config)
        check_inputs(name, config, record)
    record.prefect_started = True
    with open_flow(name, verbose=verbose) as flow:
        flow(config)


def _attempt(action: Callable[[], None], record: RunRecord, verbose: bool) -> int:
    """Return the exit code that an action deserves, and leave its error in the record."""
    try:
        action()
    except Exception as error:
        is_known = isinstance(error, MocmeError)
        record.error = str(error) if is_known else f"{type(error).__name__}: {error}"
        if verbose or not is_known:
            traceback.print_exc()
        return INPUT_ERROR if is_known and not _is_failed_run(error) else RUN_FAILED
    return 0


def _is_failed_run(error: Exception) -> bool:
    """Tell a run that failed on good input from input that the user has to mend."""
    from extractors.extraction import ExtractionError

    return isinstance(error, ExtractionError)


@contextmanager
def open_flow(name: str, *, verbose: bool = False) -> Iterator[Any]:
    """Import Prefect, see to a server, and yield a flow to call.

    The working folder is an empty one until the end: load configs and resolve paths before.

    Args:
        name: The flow, and its module.
        verbose: Whether to show Prefect's own log.

    Raises:
        ServerError: If no server answers.
    """
    with prefect_surroundings():
        with STDERR.status("starting Prefect"):
            server = None if "PREFECT_API_URL" in os.environ else TemporaryServer()
            flow = getattr(import_with_prefect(f"flows.{name}"), name)
            from flows.server.connection import connect

            is_temporary = connect(server)
        if not verbose:
            _quieten_prefect()
        with _no_heartbeats() if is_temporary else nullcontext():
            yield flow


@contextmanager
def prefect_surroundings() -> Iterator[None]:
    """See to what Prefect finds around it, until the end: its environment and an empty folder."""
    prepare_environment()
    for line in set_proxies_right():
        print_warning(line)
    with working_in(empty_folder()):
        yield


def import_with_prefect(module: str) -> Any:
    """Import a module, and Prefect with it, which reads its settings then.

    Raises:
        MocmeError: If Prefect refuses its settings.
    """
    try:
        return importlib.import_module(module)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise MocmeError(
            f"Prefect's settings ({error.title}, in PREFECT_... or its profile): found "
            f"{first['input']!r} for {'.'.join(map(str, first['loc']))}; allowed: {first['msg']}"
        ) from error


@contextmanager
def _no_heartbeats() -> Iterator[None]:
    """Send none: nothing watches for them on a temporary server, and they cost a run 1 s."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _quieten_prefect() -> None:
    """Show of Prefect's log what our flows say, and what is worse from elsewhere."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_for_the_user)


def _is_for_the_user(entry: logging.LogRecord) -> bool:
    """Leave out what Prefect says of each run: an error reaches the user at the end, once."""
    path = Path(entry.pathname)
    if path.is_relative_to(Path(__file__).parent):
        # Where a terminal watches, bars and the summary say the same.
        return not STDERR.is_terminal or entry.levelno >= logging.WARNING
    if entry.module in _ENGINE_MODULES:
        return False
    return entry.levelno >= (logging.ERROR if "prefect" in path.parts else logging.WARNING)
