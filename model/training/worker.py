"""What torchrun starts in each of several processes: `python -m model.training.worker JOB_FOLDER`.

Standard output carries one JSON object a line to the process that started torchrun (see
`model/training/torchrun.py`): `{"epoch": ...}` after every epoch, `{"error": ..., "message": ...}`
at a failure. Standard input carries nothing: it ends when that process does, and so does this one,
which would else go on in a run's folder that another may have taken over.
"""

import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.runs.epoch_report import EpochReport
from model.training.job import TrainingJob
from model.training.train import train


def main() -> None:
    """Do the job in the folder that the command line names, together with the other processes."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        job = TrainingJob.read(Path(sys.argv[1]))
        train(job.graph, job.tables, job.model, job.config, job.run_dir, _tell_epoch)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        _tell({"error": kinds, "message": str(error)})
        raise


def _tell_epoch(report: EpochReport) -> None:
    _tell({"epoch": asdict(report)})


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_starter() -> None:
    os.read(0, 1)  # returns at the end of input only
    os._exit(1)


if __name__ == "__main__":
    main()
