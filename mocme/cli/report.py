"""The command `report`: a run as one HTML page."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.terminal.output import STDERR, print_json, print_line
from mocme.cli.options import AsJson, find_run


def report(
    run_dir: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN_DIR",
            help="Folder of a run, or a config, whose newest run is meant; by default the newest.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="CONFIG", help="A config, whose newest run is meant."),
    ] = None,
    max_mb: Annotated[
        float,
        typer.Option(
            "--max-mb", min=0.01, max=10_000, help="Size of the page at most; media fill it."
        ),
    ] = 10.0,
    predictions: Annotated[int, typer.Option(min=0, help="Predictions to show at most.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Write what a run learned, and how well, as one HTML page that needs no network.

    The page is RUN_DIR/report.html; each of its figures lies in RUN_DIR/report as .svg, .png and
    .csv. A run is reported after `mocme run`, or after `evaluate`; predictions are shown if
    `predict` has made them.

    Example:  mocme report data/demo/data/runs/newest
    """
    if run_dir is not None and config is not None:
        raise typer.BadParameter("give RUN_DIR or --config CONFIG, not both")
    if run_dir is not None and run_dir.is_file():
        config, run_dir = run_dir, None
    folder = find_run(config, run_dir, None)
    from mocme.report.write import MEGABYTE, write_report

    with STDERR.status("writing the report"):
        made = write_report(folder, int(max_mb * MEGABYTE), predictions)
    if as_json:
        paths = {"page": str(made.page), "figures": str(made.figures)}
        print_json({"run_dir": str(folder.path), **asdict(made), **paths})
        return
    print_line(
        f"{made.page}: {made.num_bytes / MEGABYTE:.1f} MB, {made.num_figures} figures, "
        f"{made.num_predictions} predictions, {made.num_media} media"
    )
    print_line(f"its figures as .svg, .png and .csv: {made.figures}")
