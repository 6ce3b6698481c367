"""The commands, and what they have in common: how errors end and which exit code they give."""

import errno
import os
import platform
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.exit_codes import INPUT_ERROR
from flows.terminal.output import print_error, print_line
from mocme.absent_names import explained
from mocme.cli import (
    ablation,
    ask,
    configs,
    datasets,
    deploying,
    graph_exports,
    placing,
    relations,
    report,
    runs,
    status,
    stores,
    tuning,
)
from mocme.cli.options import ASKED_RUN, note_newer_files
from storage.errors import MocmeError


class CommandGroup(TyperGroup):
    """Ends a command whose input is at fault with one clear line instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        ASKED_RUN.set(None)
        try:
            result = super().invoke(ctx)
            note_newer_files()
            return result
        except MocmeError as error:
            print_error(explained(error, ASKED_RUN.get()))
            raise typer.Exit(INPUT_ERROR) from error
        except OSError as error:
            if (reason := _fault_of_input(error)) is None:
                raise
            print_error(reason)
            raise typer.Exit(INPUT_ERROR) from error


def _fault_of_input(error: OSError) -> str | None:
    """Return what is the matter with a path, whatever it was to be used for; else None."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{error.filename}: found a name too long; allowed: at most 255 bytes, a path 4095"
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return "found a working folder that is gone; allowed: one that is there"
    return None


def _has_working_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - it is whether there is one that matters
    except FileNotFoundError:
        return False
    return True


def _print_version(is_asked: bool) -> None:
    """Print the versions and end, if they are asked for; torch is looked up, not imported."""
    if is_asked:
        print_line(f"mocme {version('mocme')}")
        print_line(f"Python {platform.python_version()}, torch {version('torch')}")
        raise typer.Exit


app = typer.Typer(
    name="mocme",
    cls=CommandGroup,
    help="Completes multi-modal knowledge graphs: raw media to cached features to predicted facts.",
    epilog="Begin with `mocme sample data/demo`, then `mocme run data/demo/mocme.yaml`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=app.info.help)
def _before_any_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            is_eager=True,
            callback=_print_version,
            help="Print the versions of mocme, Python and torch.",
        ),
    ] = False,
) -> None:
    """Take what stands before the command."""


app.command("sample")(datasets.sample)
app.command("run")(runs.run)
app.command("extract")(runs.extract)
app.command("train")(runs.train)
app.command("evaluate")(runs.evaluate)
app.command("predict")(ask.predict)
app.command("place")(placing.place)
app.command("report")(report.report)
app.command("status")(status.status)
app.command("config")(configs.config)
app.command("ablate", epilog=ablation.variants_help())(ablation.ablate)
app.command("tune")(tuning.tune)
app.command("deploy")(deploying.deploy)
app.command("audit")(datasets.audit)
app.command("relations")(relations.relations)
app.add_typer(stores.app, name="store")
app.add_typer(graph_exports.app, name="export")
