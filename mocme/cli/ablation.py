"""The command `ablate`: variants of a config, several seeds each, compared."""

import os
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDERR, STDOUT, print_line
from mocme.ablation.variants import StudyName
from mocme.cli.options import ConfigFile, Overrides
from mocme.tables import table


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

    Runs that are done are not repeated. The table is printed; as Markdown, CSV and a plot it is
    left in RUNS/ablation.

    Example:  mocme ablate data/demo/mocme.yaml --study fusion --seeds 5
    """
    if study not in get_args(StudyName):
        raise typer.BadParameter(f"found {study!r}; allowed: {', '.join(get_args(StudyName))}")
    from mocme.ablation.report import COLUMNS, compare, notes_of, rows_of, write_report
    from mocme.ablation.study import check_test, chosen, run_study
    from mocme.ablation.variants import variants_of

    settings = load_config(config, overrides or ())
    variants = variants_of(settings, cast(StudyName, study))
    wanted = chosen(variants, only or ())
    check_test(settings.dataset)
    folder: Path = settings.runs / "ablation" / study
    runs = run_study(
        wanted,
        folder,
        range(seeds),
        processes,
        lambda name, seed: STDERR.print(f"{name}, seed {seed}: trained", highlight=False),
    )
    comparisons = compare(runs)
    notes = notes_of(comparisons, {} if only else variants.left_out)
    title = f"{config.stem}: {study}"
    written = write_report(comparisons, notes, folder, title)
    STDOUT.print(table(title, COLUMNS, rows_of(comparisons)))
    for note in notes:
        print_line(note)
    print_line(f"written to {written}, table.csv, plot.svg and plot.png beside it")
