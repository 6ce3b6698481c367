"""`python -m mocme.study_training CONFIG KEY=VALUE...` trains for a study, and ends when that does.

Standard input carries nothing: it ends when the study's process does, however that ends. A training
that goes on alone would hold a processor or a GPU, and its run's folder, for hours.
"""

import os
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from threading import Thread

from storage.isolation import isolate_process


def main() -> None:
    """Train a config; print what the run did as JSON, and its error on standard error."""
    isolate_process()
    from flows.terminal.logs import escape_log_records  # imports the libraries
    from flows.terminal.streams import run_guarded

    Thread(target=_end_with_study, daemon=True).start()
    escape_log_records()
    run_guarded(_train)


def _train() -> None:
    from flows.local_runs import run_locally
    from flows.terminal.output import print_error, print_json

    config, *overrides = sys.argv[1:]
    with redirect_stdout(sys.stderr):
        record, exit_code = run_locally("train", Path(config), overrides)
    if record.error is not None:
        print_error(record.error)
    print_json(record.as_json())
    sys.exit(exit_code)


def _end_with_study() -> None:
    os.read(0, 1)  # returns at the end of input only
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
