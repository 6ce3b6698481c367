"""The commands, and what they have in common: how errors end and which exit code they give."""

import errno
import os
from typing import Any

import typer
from typer.core import TyperGroup

from flows.exit_codes import INPUT_ERROR
from flows.terminal.output import print_error
from mocme.cli import (
    ablation,
    ask,
    datasets,
    deploying,
    graph_exports,
    placing,
    report,
    runs,
    status,
    stores,
    tuning,
)
from storage.errors import MocmeError


class CommandGroup(TyperGroup):
    """Ends a command whose input is at fault with one clear line instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MocmeError as error:
            print_error(str(error))
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
app.command("sample")(datasets.sample)
app.command("run")(runs.run)
app.command("extract")(runs.extract)
app.command("train")(runs.train)
app.command("evaluate")(runs.evaluate)
app.command("predict")(ask.predict)
app.command("place")(placing.place)
app.command("report")(report.report)
app.command("status")(status.status)
app.command("ablate")(ablation.ablate)
app.command("tune")(tuning.tune)
app.command("deploy")(deploying.deploy)
app.command("audit")(datasets.audit)
app.add_typer(stores.app, name="store")
app.add_typer(graph_exports.app, name="export")
