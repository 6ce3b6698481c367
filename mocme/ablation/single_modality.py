"""One modality by itself, as several studies have it."""

from flows.configs.changes import changed
from flows.configs.pipeline_config import PipelineConfig


def single(config: PipelineConfig, modality: str, *, neighbours: bool = False) -> PipelineConfig:
    """Return a config of one modality, and a learned row only for entities that lack it."""
    model = {"structure": False, "neighbours": neighbours, "fallback_rows": True}
    return changed(config, {"model": model}, modalities=[modality])
