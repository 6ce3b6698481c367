"""The command `ablate`: variants of a config, several seeds each, compared."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Annotated, cast, get_args

import typer

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.terminal.output import STDOUT, print_line
from mocme.ablation.variants import STUDIES, StudyName, Variants, variants_of
from mocme.cli.options import ConfigFile, Overrides
from mocme.tables import table

_WIDTH_OF_HELP = 76


def ablate(
    config: ConfigFile,
    overrides: Overrides = None,
    study: Annotated[
        str, typer.Option(help=f"What to compare: {' or '.join(get_args(StudyName))}.")
    ] = "parts",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... of every variant.")] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="VARIANT",
            help="A variant to compare with, as they are called below; by default all.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Trainings at once; by default one a core.")
    ] = os.cpu_count() or 1,
    list_only: Annotated[
        bool,
        typer.Option("--list", help="Only list the variants of this config, and those left out."),
    ] = False,
) -> None:
    """Train variants of a config and compare them with it.

    Runs that are done are not repeated. The table is printed; as Markdown, CSV and a plot it is
    left in RUNS/ablation.

    Example:  mocme ablate data/demo/mocme.yaml --study fusion --seeds 5
    """
    if study not in get_args(StudyName):
        raise typer.BadParameter(f"found {study!r}; allowed: {', '.join(get_args(StudyName))}")
    from mocme.ablation.study import chosen

    settings = load_config(config, overrides or ())
    variants = variants_of(settings, cast(StudyName, study))
    wanted = chosen(variants, only or ())
    title = f"{config.stem}: {study}"
    if list_only:
        _print_variants(title, variants, wanted, {} if only else variants.left_out)
        return
    left_out = {} if only else variants.left_out
    _compare(wanted, left_out, settings, study, range(seeds), processes, title)


def _compare(
    wanted: dict[str, PipelineConfig],
    left_out: dict[str, str],
    settings: PipelineConfig,
    study: str,
    seeds: range,
    processes: int,
    title: str,
) -> None:
    """Train what is to be compared, and print and write what was found."""
    from mocme.ablation.report import COLUMNS, compare, notes_of, rows_of, write_report
    from mocme.ablation.study import check_test, run_study
    from mocme.cli.study_bar import showing
    from mocme.study_progress import StudyProgress

    check_test(settings)
    folder: Path = settings.runs / "ablation" / study
    progress = StudyProgress(processes)
    with showing(progress) as tell:
        runs = run_study(
            wanted,
            folder,
            seeds,
            processes,
            lambda name, seed: tell(f"{name}, seed {seed}: trained"),
            progress,
        )
    comparisons = compare(runs)
    notes = notes_of(comparisons, left_out)
    written = write_report(comparisons, notes, folder, title)
    STDOUT.print(table(title, COLUMNS, rows_of(comparisons)))
    for note in notes:
        print_line(note)
    print_line(f"written to {written}, table.csv, plot.svg and plot.png beside it")


def _print_variants(
    title: str, variants: Variants, wanted: Iterable[str], left_out: Mapping[str, str]
) -> None:
    """Print what a study would train, and what it leaves out and why."""
    made = table(title, ["variant", ""], [])
    for column in ("what it is", "why it is left out"):
        made.add_column(column, overflow="fold")
    rows = [(name, "would be trained", "") for name in wanted]
    rows += [(name, "is left out", why) for name, why in left_out.items()]
    for name, what, why in rows:
        made.add_row(name, what, variants.about[name], why)
    STDOUT.print(made)


def variants_help() -> str:
    """Return the variants of each study with their phrases, for the end of `ablate --help`."""
    paragraphs = []
    for name, study in STUDIES.items():
        lines = ["\b", f"Variants of --study {name}, as far as a config has what they change:"]
        for variant, it in study.items():
            text = f"{variant}: {it.about}"
            lines += wrap(
                text,
                _WIDTH_OF_HELP,
                initial_indent="  ",
                subsequent_indent="      ",
                break_on_hyphens=False,
            )
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)
