"""Commands that run a flow: `run`, `extract`, `train`, `evaluate`."""

from typing import Annotated

import typer

from flows.stages.run_record import RunRecord
from flows.terminal.output import STDOUT, print_json
from mocme.cli.flow_runs import run_flow
from mocme.cli.options import (
    AsJson,
    ConfigFile,
    MaybeConfigFile,
    Overrides,
    RunDir,
    Verbose,
    find_run,
)
from mocme.summary import metrics_table


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run all stages; skip what has not changed.

    Extract, train, evaluate, predict.

    Example:  mocme run data/demo/mocme.yaml --set train.epochs=5
    """
    run_flow("pipeline", config, overrides or (), as_json=as_json, verbose=verbose)


def extract(
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what is new, cached, failed or missing, and why."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what has failed for good before.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Turn new and changed media into stored features.

    The items that fail are listed in RUNS/failures.jsonl, each with its reason.

    Example:  mocme extract data/demo/mocme.yaml --dry-run
    """
    settings = [*(overrides or ()), *(["extract.retry_failed=true"] if retry_failed else [])]
    if dry_run:
        from mocme.cli.dry_run import show_dry_run

        show_dry_run(config, settings, as_json=as_json)
    else:
        run_flow("extract", config, settings, as_json=as_json, verbose=verbose)


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Extract what is new and train, unless nothing has changed.

    Example:  mocme train data/demo/mocme.yaml --set model.num_experts=1
    """
    run_flow("train", config, overrides or (), as_json=as_json, verbose=verbose)


def evaluate(
    config: MaybeConfigFile = None,
    run_dir: RunDir = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure a run on valid and test.

    The newest run of CONFIG, or the one in --run DIR; with neither, the newest below data/runs.

    Example:  mocme evaluate --run data/demo/data/runs/newest
    """
    if config is not None and run_dir is None:
        run_flow("evaluate", config, overrides or (), as_json=as_json, verbose=verbose)
        return
    folder = find_run(config, run_dir, overrides)
    record = RunRecord(run_dir=folder.path)
    from flows.evaluate import evaluate_folder

    record.stages["evaluate"] = evaluate_folder(folder)
    record.evaluation = folder.evaluation()
    if as_json:
        print_json(record.as_json())
    else:
        STDOUT.print(metrics_table(record.metrics))
