"""One modality by itself, as several studies have it."""

from flows.config import PipelineConfig
from flows.config_changes import changed


def single(config: PipelineConfig, modality: str, *, neighbours: bool = False) -> PipelineConfig:
    """Return a config of one modality, and a learned row only for entities that lack it."""
    model = {"structure": False, "neighbours": neighbours, "fallback_rows": True}
    return changed(config, {"model": model}, modalities=[modality])
