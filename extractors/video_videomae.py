"""Clips by VideoMAE: the mean of its last hidden states over a few frames of the whole clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import RawContent
from extractors.media.clip import read_frames
from extractors.media.picture import central_box
from extractors.pretrained import (
    CheckpointConfig,
    ModelName,
    PretrainedExtractor,
    load_part,
    load_transformer,
    read_preprocessing,
)
from extractors.weights import WeightsError

if TYPE_CHECKING:
    import torch

Frames = NDArray[np.uint8]


class VideoMaeConfig(CheckpointConfig):
    """Config of `video_videomae`."""

    model: ModelName = "MCG-NJU/videomae-base"
    num_frames: int = Field(
        16,
        ge=2,
        le=128,
        description="Frames that are read of a clip; a multiple of the model's tubelet size.",
    )


class VideoMaeExtractor(PretrainedExtractor[VideoMaeConfig, Frames]):
    """Encodes a clip by VideoMAE's encoder."""

    name = "video_videomae"
    modality = "video"
    item_kind = "file"
    version = 3
    model_type = "videomae"
    Config = VideoMaeConfig

    @property
    def dim(self) -> int:
        """Width of the encoder."""
        tubelet_size = int(self.setting("tubelet_size"))
        if self.config.num_frames % tubelet_size:
            raise WeightsError(
                f"num_frames: found {self.config.num_frames}; allowed: a multiple of "
                f"{tubelet_size}, the frames that {self.config.model} joins into one token"
            )
        return int(self.setting("hidden_size"))

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Name the weights, the pooling and how the clip is prepared."""
        return {
            "weights": self.weights.identity,
            "pooling": "mean",
            "num_frames": self.config.num_frames,
            "preprocessing": read_preprocessing(self.weights, "image_processor"),
            "resized_by": "torchvision",
        }

    def load(self, content: RawContent) -> Frames:
        """Read, resize and crop frames. Shape: (num_frames, 3, height, width)."""
        frames = read_frames(Path(str(content)), self.config.num_frames)
        if self.processor.size.shortest_edge and self.processor.do_center_crop:
            left, top, right, bottom = central_box(frames.shape[2], frames.shape[1])
            frames = frames[:, top:bottom, left:right]
        prepared = self.processor(
            list(frames), do_rescale=False, do_normalize=False, return_tensors="np"
        )
        return np.asarray(prepared["pixel_values"][0], np.uint8)

    def build_processor(self) -> Any:
        """Load the image processor, of the library's torchvision kind.

        The library has another kind, whose pixels differ.
        """
        from transformers import VideoMAEImageProcessor

        return load_part(VideoMAEImageProcessor, self.weights)

    def build_backbone(self) -> "torch.nn.Module":
        """Load the encoder; positions are computed, so that any number of frames will do."""
        from transformers import VideoMAEModel

        return load_transformer(
            VideoMAEModel,
            self.weights,
            attn_implementation="sdpa",
            num_frames=self.config.num_frames,
        )

    def embed(self, batch: Sequence[Frames]) -> "torch.Tensor":
        """Average the last hidden states over time and place. Shape: (len(batch), dim)."""
        prepared = self.processor(
            [list(frames) for frames in batch],
            do_resize=False,
            do_center_crop=False,
            input_data_format="channels_first",
            return_tensors="pt",
        )
        output = self.backbone(pixel_values=prepared["pixel_values"].to(self.device))
        mean: torch.Tensor = output.last_hidden_state.float().mean(1)
        return mean
