"""What a run reads before any stage, and checks so that no hour is spent on a misspelt name."""

from extractors.base import Runtime
from extractors.plan import ModalityPlan
from extractors.registry import build_extractor
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.stages.run_record import RunRecord
from flows.stages.stage import since, start_clock
from storage.datasets.dataset import Dataset, read_dataset
from storage.suggestion import did_you_mean


def read_inputs(config: PipelineConfig, record: RunRecord) -> Dataset:
    """Read the dataset of a run.

    Raises:
        DatasetError: If it cannot be read as it is written.
        ConfigError: If the config asks for predictions of a relation that the graph does not have.
    """
    start = start_clock()
    dataset = read_dataset(config.dataset)
    record.reading_seconds = since(start)
    known = dataset.graph.relations
    for relation in () if config.predict.relations == "all" else config.predict.relations:
        if relation not in known:
            raise ConfigError(
                f"'predict.relations': found '{relation}'{did_you_mean(relation, known)}; "
                f"allowed: all, or some of {', '.join(known)}"
            )
    return dataset


def plan_modality(config: PipelineConfig, modality: str, *, offline: bool = False) -> ModalityPlan:
    """Return what a config says is to be extracted for one of its modalities.

    Args:
        config: The config.
        modality: Name of the entry.
        offline: Whether only this machine may be asked for weights, whatever the config says.
    """
    entry, options = config.modalities[modality], config.extract
    runtime = Runtime(options.device, offline or options.offline)
    extractor = build_extractor(entry.extractor, entry.options, runtime)
    return ModalityPlan(modality, extractor, config.fields_of(modality))
