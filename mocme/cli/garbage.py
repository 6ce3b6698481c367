"""The `store gc` command: deletes features that no config refers to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.configs.pipeline_config import load_config
from flows.exit_codes import RUN_FAILED
from flows.terminal.output import STDERR, STDOUT, print_error, print_json
from mocme.cli.options import AsJson
from mocme.tables import table

if TYPE_CHECKING:
    from storage.features.garbage import Garbage


def gc(
    configs: Annotated[
        list[Path], typer.Argument(metavar="CONFIG...", help="All configs that use the store.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the features that none of the given configs refers to.

    Whole feature spaces, and vectors whose items their datasets no longer list. Where a listed
    file cannot be read, no vector of its feature space goes. Files that mocme has not made stay,
    and so does a feature space that cannot be read or is reached through a link: it is named, and
    the exit code is 1. Refused while a run is writing.

    Example:  mocme store gc run.yaml other.yaml --dry-run
    """
    from mocme.garbage import collect

    settings = [load_config(path) for path in configs]
    with STDERR.status("looking for what no config refers to"):
        collected = collect(settings, dry_run=dry_run)
    found = [garbage for garbage in collected if garbage.left is None]
    left = {str(garbage.directory): garbage.left for garbage in collected if garbage.left}
    if as_json:
        print_json({"dry_run": dry_run, "garbage": list(map(_as_json, found)), "left": left})
    else:
        _print(found, dry_run=dry_run)
    for why in left.values():
        print_error(f"left as it is: {why}")
    if left:
        raise typer.Exit(RUN_FAILED)


def _print(found: Sequence["Garbage"], *, dry_run: bool) -> None:
    if found:
        title = "Would be deleted" if dry_run else "Deleted"
        columns = ["feature space", "what", "vectors", "failures", "MB"]
        STDOUT.print(table(title, columns, [_cells(garbage) for garbage in found]))
    else:
        STDOUT.print("nothing: the configs refer to all that is stored", highlight=False)


def _as_json(garbage: "Garbage") -> dict[str, Any]:
    return {
        "space": str(garbage.directory),
        "whole": garbage.is_whole,
        "num_vectors": garbage.num_vectors,
        "num_failures": garbage.num_failures,
        "bytes": garbage.num_bytes,
    }


def _cells(garbage: "Garbage") -> tuple[object, ...]:
    name = f"{garbage.directory.parent.name}/{garbage.directory.name}"
    what = "all of it" if garbage.is_whole else "some vectors"
    size = f"{garbage.num_bytes / 1e6:.2f}"
    return name, what, garbage.num_vectors, garbage.num_failures, size
