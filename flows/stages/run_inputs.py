"""What a command has read and checked before Prefect starts, for the flow that it then runs."""

from dataclasses import dataclass, field

from extractors.plan import ModalityPlan
from flows.configs.pipeline_config import PipelineConfig
from flows.stages.staged_run import StagedRun
from storage.datasets.dataset import Dataset


@dataclass(frozen=True, eq=False)
class RunInputs:
    """What a flow need not read again.

    Attributes:
        config: The config that it was read for.
        dataset: The dataset, for a flow that extracts.
        plans: Plans of modalities by name. The flow takes each out: a plan keeps its backbone.
        run: The newest run of the config, for a flow that only evaluates or predicts.
    """

    config: PipelineConfig
    dataset: Dataset | None = None
    plans: dict[str, ModalityPlan] = field(default_factory=dict)
    run: StagedRun | None = None
