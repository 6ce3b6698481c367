"""The `mocme` command line: `mocme.cli:main`.

Commands import what they run when they run it, so that `mocme --help` answers at once and only
what runs a flow pays for Prefect's start.
"""

from functools import partial

from storage.isolation import isolate_process


def main() -> None:
    """Run the command line."""
    isolate_process()
    from flows.terminal.logs import escape_log_records
    from flows.terminal.streams import run_guarded
    from mocme.cli.app import app  # imports the libraries

    escape_log_records()
    run_guarded(partial(app, prog_name="mocme"))
