"""Runs a flow for a command, and says at the end what it did."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import typer

from flows.local_runs import run_locally
from flows.terminal.output import STDERR, STDOUT, print_error, print_json
from mocme.predicted import print_predictions
from mocme.summary import print_summary


def run_flow(
    name: str, config: Path, overrides: Sequence[str], *, as_json: bool, verbose: bool
) -> None:
    """Run a flow on a config and report; exit with 1 if the run failed, 2 if its input is wrong.

    Args:
        name: The flow, and its module.
        config: YAML file.
        overrides: `a.b=value` each.
        as_json: Whether standard output shall hold one JSON object and nothing else.
        verbose: Whether to show Prefect's own log, and tracebacks.
    """
    start = time.monotonic()
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        record, exit_code = run_locally(name, config, overrides, verbose=verbose)
    print_summary(STDERR if as_json else STDOUT, record, time.monotonic() - start)
    if record.error is not None:
        print_error(record.error)
    elif "predict" in record.stages and record.run_dir is not None and not as_json:
        print_predictions(record.run_dir, config, overrides)
    if as_json:
        print_json(record.as_json(extraction_only=name == "extract"))
    raise typer.Exit(exit_code)
