"""Where the media of a run come from: its config and dataset, as far as they are still there."""

from dataclasses import dataclass

from flows.configs.pipeline_config import PipelineConfig
from flows.stages.staged_run import StagedRun
from storage.datasets.dataset import Dataset, read_dataset
from storage.errors import MocmeError


@dataclass(frozen=True)
class Source:
    """Where the run's media come from, as far as it is still there.

    Attributes:
        config: The config that the run was made with.
        dataset: The dataset.
        problem: Why there is no config or no dataset.
    """

    config: PipelineConfig | None = None
    dataset: Dataset | None = None
    problem: str | None = None


def find_source(folder: StagedRun) -> Source:
    """Read config and dataset; either may be gone, or be of another version of mocme."""
    config = None
    try:
        config = folder.config()
        return Source(config, read_dataset(config.dataset, config.split_salt))
    except MocmeError as error:
        return Source(config, None, str(error))
