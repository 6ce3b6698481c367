"""Why another fusion would train the same: what every study leaves out."""

from flows.configs.pipeline_config import PipelineConfig


def num_own(config: PipelineConfig) -> int:
    """Count what of an entity's own is fused: its modalities, and its row if that is joined."""
    joined = config.model.structure and config.model.joint
    return len(config.modalities) + joined if config.modalities else 0


def no_modality(config: PipelineConfig) -> str | None:
    """Return why a modality's part can make no difference; None: it can."""
    return None if config.modalities else "the config has no modalities"


def nothing_fused(config: PipelineConfig) -> str | None:
    """Return why a fusion can make no difference; None: it can."""
    is_one = num_own(config) == 1 and config.model.num_experts == 1
    return no_modality(config) or ("there is nothing to fuse" if is_one else None)
