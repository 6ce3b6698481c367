"""The `mocme` command line: `flows.cli:main`.

Commands import what they run when they run it, so that `mocme --help` answers at once and only
what runs a flow pays for Prefect's start.
"""

from flows.cli.app import app
from flows.terminal.logs import escape_log_records
from flows.terminal.streams import run_guarded


def main() -> None:
    """Run the command line."""
    escape_log_records()
    run_guarded(app)
