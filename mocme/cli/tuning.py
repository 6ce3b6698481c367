"""The command `tune`: the config's own fields, searched for the best MRR on valid."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.configs.pipeline_config import load_config
from flows.terminal.output import STDOUT, print_json, print_line
from mocme.cli.options import AsJson, ConfigFile, Overrides
from mocme.tables import table

if TYPE_CHECKING:
    from mocme.tuning.results import Tuned


def tune(
    config: ConfigFile,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials in all, those of earlier calls included.")
    ],
    overrides: Overrides = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="KEY[=RANGE]",
            help="A field to vary, as train.learning_rate, model.dim=100..400 or "
            "model.scorer=complex,rotate; by default the usual ones.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, help="Trainings at once; with more than one, trials may differ."),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Search the config's own fields for the best MRR on valid.

    Trial 0 is the config as it stands; what falls behind the median is stopped. A second call goes
    on, also after a kill. The best trial is written to RUNS/tuning/best.yaml, for `mocme run`; test
    is not looked at before that.

    Example:  mocme tune data/demo/mocme.yaml --trials 20 --over model.dim=100..400
    """
    from mocme.cli.study_bar import showing
    from mocme.study_progress import StudyProgress
    from mocme.tuning.report import describe, write_best
    from mocme.tuning.space import search_space
    from mocme.tuning.study import tune as run_tuning

    settings = load_config(config, overrides or ())
    folder: Path = settings.runs / "tuning"
    progress = StudyProgress(processes)
    with showing(progress) as tell:
        tuned = run_tuning(
            settings,
            search_space(settings, over or ()),
            folder,
            trials,
            processes,
            lambda trial: tell(describe(trial)),
            progress,
        )
    best = folder / "best.yaml"
    write_best(tuned, settings, best)
    if as_json:
        print_json({**asdict(tuned), "best": asdict(tuned.best), "config": str(best)})
        return
    _print(tuned, config.stem)
    written = f"written to {best}; on valid the best of many flatters, `mocme run` tests it"
    print_line(written)


def _print(tuned: "Tuned", name: str) -> None:
    """Print the best trials, and what mattered if that can be told."""
    from mocme.tuning.report import columns_of, rows_of

    STDOUT.print(table(f"{name}: the best trials", columns_of(tuned), rows_of(tuned)))
    if tuned.importances:
        shares = ", ".join(f"{key} {share:.2f}" for key, share in tuned.importances.items())
        print_line(f"what mattered: {shares}")
