"""`python -m flows.study_training` is `mocme train` for a study, and ends when the study does.

Standard input carries nothing: it ends when the study's process does, however that ends. A training
that goes on alone would hold a processor or a GPU, and its run's folder, for hours.
"""

import os
import signal
import sys
from threading import Thread

from flows.cli import main


def _end_with_study() -> None:
    os.read(0, 1)  # returns at the end of input only
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_end_with_study, daemon=True).start()
    sys.argv[:1] = ["mocme", "train"]
    main()
