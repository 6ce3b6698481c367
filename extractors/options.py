"""Options of an extraction: how to run it, never what comes out (the dtype apart)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from extractors.report import ALMOST_ALL
from storage.words.devices import DeviceName


class ExtractOptions(BaseModel):
    """The config's `extract` section."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: DeviceName = Field(
        "auto", description="Torch device of the backbones; auto = the first GPU, else the CPU."
    )
    batch_size: int = Field(64, ge=1, le=65536, description="Items per call of a backbone.")
    num_workers: int = Field(2, ge=1, le=256, description="Processes that decode files.")
    timeout_seconds: float = Field(
        60.0, ge=0.001, le=86_400, description="Seconds after which decoding one item fails."
    )
    max_failure_rate: float = Field(
        ALMOST_ALL,
        ge=0,
        le=1,
        description="Share of a modality's items; if more of them fail, the run fails. With 1 it "
        "goes on whatever fails.",
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="Dtype of the stored rows.")
    retry_failed: bool = Field(
        False, description="Whether items that have failed for good before are tried again."
    )
    offline: bool = Field(
        False,
        description="Whether weights are taken from this machine only, never from the network.",
    )
    task_runner: Literal["threads", "dask", "ray"] = Field(
        "threads",
        description="What extracts: threads of this process, or workers of a Dask or Ray cluster.",
    )
    cluster: str | None = Field(
        None,
        min_length=1,
        description="Address of a running cluster; null = one is started on this machine.",
    )
    cluster_workers: int = Field(
        2,
        ge=1,
        le=1024,
        description="Worker processes of a cluster that is started on this machine.",
    )
    shard_size: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description="Items that a worker of a cluster is given at once.",
    )

    @model_validator(mode="after")
    def _check_cluster(self) -> "ExtractOptions":
        if self.cluster is not None and self.task_runner == "threads":
            raise PydanticCustomError(
                "cluster_without_runner", "cluster: none with task_runner threads; or dask, ray"
            )
        return self
