"""The command `ablate`: variants of a config, several seeds each, compared."""

import os
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from flows.ablation.variants import StudyName
from flows.cli.console import STDERR, STDOUT, table
from flows.cli.options import ConfigFile, Overrides
from flows.config import load_config


def ablate(
    config: ConfigFile,
    overrides: Overrides = None,
    study: Annotated[
        str, typer.Option(help=f"What to compare: {' or '.join(get_args(StudyName))}.")
    ] = "parts",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... of every variant.")] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Variants to compare with; by default all."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Trainings at once; by default one a core.")
    ] = os.cpu_count() or 1,
) -> None:
    """Train variants of a config and compare them with it.

    Runs that are done are not repeated. The table is printed and left in RUNS/ablation.

    Example:  mocme ablate data/demo/mocme.yaml --study fusion --seeds 5
    """
    if study not in get_args(StudyName):
        raise typer.BadParameter(f"found {study!r}; allowed: {', '.join(get_args(StudyName))}")
    from flows.ablation.report import COLUMNS, rows_of, write_report
    from flows.ablation.study import run_study

    settings = load_config(config, overrides or ())
    folder: Path = settings.runs / "ablation" / study
    runs = run_study(
        settings,
        cast(StudyName, study),
        folder,
        range(seeds),
        only or (),
        processes,
        lambda name, seed: STDERR.print(f"{name}, seed {seed}: trained", highlight=False),
    )
    written = write_report(runs, folder, f"{config.stem}: {study}")
    STDOUT.print(table(f"{config.stem}: {study}", COLUMNS, rows_of(runs)))
    STDOUT.print(f"written to {written} and table.csv", highlight=False, soft_wrap=True)
