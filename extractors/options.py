"""Options of an extraction: how to run it, never what comes out (the dtype apart)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ExtractOptions(BaseModel):
    """The config's `extract` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field("auto", description="torch device; auto = the first GPU, else the CPU")
    batch_size: int = Field(64, ge=1, le=65536, description="items per call of the backbone")
    num_workers: int = Field(2, ge=1, le=256, description="decoding processes")
    timeout_seconds: float = Field(
        60.0, ge=0.001, le=86_400, description="time limit for decoding one item"
    )
    max_failure_rate: float = Field(
        1.0, ge=0, le=1, description="share of failed items above which the run fails"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="dtype of stored rows")
    retry_failed: bool = Field(False, description="try again what has failed for good before")
    offline: bool = Field(False, description="take weights from this machine only")
    task_runner: Literal["threads"] = Field(
        "threads", description="what runs one task per modality"
    )
