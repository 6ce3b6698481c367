"""Options of an extraction: how to run it, never what comes out (the dtype apart)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from extractors.report import ALMOST_ALL


class ExtractOptions(BaseModel):
    """The config's `extract` section."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: str = Field("auto", description="torch device; auto = the first GPU, else the CPU")
    batch_size: int = Field(64, ge=1, le=65536, description="items per call of the backbone")
    num_workers: int = Field(2, ge=1, le=256, description="decoding processes")
    timeout_seconds: float = Field(
        60.0, ge=0.001, le=86_400, description="time limit for decoding one item"
    )
    max_failure_rate: float = Field(
        ALMOST_ALL,
        ge=0,
        le=1,
        description="share of a modality's items above which the run fails if they fail; "
        "1 = it goes on whatever fails",
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="dtype of stored rows")
    retry_failed: bool = Field(False, description="try again what has failed for good before")
    offline: bool = Field(False, description="take weights from this machine only")
    task_runner: Literal["threads", "dask", "ray"] = Field(
        "threads", description="what extracts: this process, or shards on a cluster"
    )
    cluster: str | None = Field(
        None, min_length=1, description="address of a running cluster; default: one of this machine"
    )
    cluster_workers: int = Field(
        2, ge=1, le=1024, description="worker processes of a cluster of this machine"
    )
    shard_size: int = Field(
        4096, ge=1, le=1_000_000, description="items that a worker of a cluster is given at once"
    )

    @model_validator(mode="after")
    def _check_cluster(self) -> "ExtractOptions":
        if self.cluster is not None and self.task_runner == "threads":
            raise PydanticCustomError(
                "cluster_without_runner", "cluster: none with task_runner threads; or dask, ray"
            )
        return self
