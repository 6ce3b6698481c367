"""A finished run that can be asked, beside the dataset that it was made from."""

from pathlib import Path

from flows.stages.negatives import negatives_now
from flows.stages.staged_run import CONFIG_FILE, StagedRun
from model.prediction.predictor import Predictor as RunPredictor


class Predictor(RunPredictor):
    """Answers questions with a finished run.

    What the dataset's `negatives.tsv` lists now is never an answer; where the dataset is gone, what
    it listed at the training. What relations are like, and how many facts are missing, is as the
    run's config states it.

    Args:
        run_dir: The run's folder.

    Raises:
        MocmeError: If the run has not finished training, or the negatives cannot be read.
    """

    def __init__(self, run_dir: Path | str) -> None:
        run = StagedRun(Path(run_dir))
        if not (run.path / CONFIG_FILE).exists():  # a training that no flow made has none
            super().__init__(run_dir)
            return
        config = run.config()
        super().__init__(
            run_dir,
            missing_share=config.predict.missing_share,
            stated=config.relation_types,
        )
        self.leave_out(negatives_now(config.dataset, self.graph))
