"""A finished run that can be asked, beside the dataset that it was made from."""

from pathlib import Path

from flows.stages.negatives import negatives_now
from flows.stages.staged_run import CONFIG_FILE, StagedRun
from model.prediction.predictor import Predictor as RunPredictor


class Predictor(RunPredictor):
    """Answers questions with a finished run.

    What the dataset's `negatives.tsv` lists now is never an answer; where the dataset is gone, what
    it listed at the training.

    Args:
        run_dir: The run's folder.

    Raises:
        MocmeError: If the run has not finished training, or the negatives cannot be read.
    """

    def __init__(self, run_dir: Path | str) -> None:
        super().__init__(run_dir)
        run = StagedRun(Path(run_dir))
        if (run.path / CONFIG_FILE).exists():  # a training that no flow made has none
            self.leave_out(negatives_now(run.config().dataset, self.graph))
