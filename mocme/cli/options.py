"""Arguments and options that several commands share."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.stages.staged_run import StagedRun, newest_run, newest_run_of, open_run
from flows.terminal.output import print_note
from mocme.absent_names import AskedRun
from mocme.newer_files import newer_files

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the run.")]
MaybeConfigFile = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="YAML file of the run.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one key of the config, as train.epochs=5."
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output, all else on error."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show Prefect's own log and full tracebacks.")
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="Folder of a run; by default the newest."),
]


ASKED_RUN: ContextVar[AskedRun | None] = ContextVar("asked_run", default=None)
"""The run that the command at work has found; errors of the command are explained with it."""


def find_run(
    config: Path | None, run_dir: Path | None, overrides: Sequence[str] | None
) -> StagedRun:
    """Return the run that a command is about.

    Args:
        config: A config, whose newest run is meant.
        run_dir: The folder of a run; both may not be given.
        overrides: Overrides of the config.

    Raises:
        NoRunError: If there is no such run, or none has finished.
        typer.BadParameter: If both are given, or overrides without a config.
    """
    run = _find_run(config, run_dir, overrides)
    ASKED_RUN.set(AskedRun(run, config, tuple(overrides or ())))
    return run


def note_newer_files() -> None:
    """Say that the dataset may have changed since the run that was asked, which does not know."""
    if (asked := ASKED_RUN.get()) is not None and (newer := newer_files(asked.run)):
        more = f" and {len(newer) - 1} more" * (len(newer) > 1)
        status = f"mocme status {shlex.quote(str(asked.config or 'CONFIG'))}"
        print_note(f"{newer[0]}{more}: newer than this run's training; `{status}` compares them")


def _find_run(
    config: Path | None, run_dir: Path | None, overrides: Sequence[str] | None
) -> StagedRun:
    if run_dir is not None:
        if config is not None:
            raise typer.BadParameter("give CONFIG or --run DIR, not both")
        return open_run(run_dir)
    if config is not None:
        return newest_run_of(load_config(config, overrides or ()))
    return newest_run(Path(PipelineConfig.model_fields["runs"].default))
