"""A tuning that is killed within a trial: `python killed_tuning.py CONFIG TRIAL`."""

import os
import signal
import sys
from pathlib import Path

from plain_trainings import PlainTrainings

from flows.configs.pipeline_config import load_config
from mocme.training_pool import TrainingPool
from mocme.tuning.space import search_space
from mocme.tuning.study import tune


def main(config_file: Path, killed: int) -> None:
    def fails(number: int, epoch: int) -> None:
        if (number, epoch) == (killed, 3):
            os.kill(os.getpid(), signal.SIGKILL)

    trainings = PlainTrainings(fails)
    TrainingPool.train = lambda pool, *given: trainings.train(*given)  # type: ignore[method-assign]
    config = load_config(config_file)
    tune(config, search_space(config), config.runs / "tuning", 8, 1, lambda trial: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
