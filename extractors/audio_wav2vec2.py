"""Sound by wav2vec 2.0: the mean of its last hidden states over the whole recording.

The first layer of the base model normalises over time, so that even masked padding changes a
vector (by 0.1 and more): recordings are batched only with others of exactly their length, and
none is padded.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import MediaError, RawContent
from extractors.media.sound import read_sound
from extractors.pretrained import (
    CheckpointConfig,
    ModelName,
    PretrainedExtractor,
    load_part,
    load_transformer,
    read_preprocessing,
)

if TYPE_CHECKING:
    import torch

Samples = NDArray[np.float32]

_DEFAULT_RATE_HZ = 16_000  # of a checkpoint that tells none, as the library has it


class Wav2Vec2Config(CheckpointConfig):
    """Config of `audio_wav2vec2`."""

    model: ModelName = "facebook/wav2vec2-base"
    max_seconds: float = Field(
        30.0, gt=0, le=600, description="Seconds of a sound that are read, from its start."
    )


class Wav2Vec2Extractor(PretrainedExtractor[Wav2Vec2Config, Samples]):
    """Encodes a sound by wav2vec 2.0."""

    name = "audio_wav2vec2"
    modality = "audio"
    item_kind = "file"
    version = 3
    model_type = "wav2vec2"
    loads_by_processor = False
    Config = Wav2Vec2Config

    @property
    def dim(self) -> int:
        """Width of the encoder."""
        return int(self.setting("hidden_size"))

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Name the weights, the pooling and how the sound is prepared."""
        return {
            "weights": self.weights.identity,
            "pooling": "mean",
            "max_seconds": self.config.max_seconds,
            "preprocessing": self._preprocessing,
        }

    def load(self, content: RawContent) -> Samples:
        """Read a sound at the checkpoint's rate. Shape: (num_samples,)."""
        rate_hz = int(self._preprocessing.get("sampling_rate", _DEFAULT_RATE_HZ))
        samples = read_sound(Path(str(content)), rate_hz, self.config.max_seconds)
        if len(samples) < self._min_samples:
            raise MediaError(
                f"lasts {len(samples) / rate_hz:.4f} s, less than one frame of the backbone "
                f"({self._min_samples / rate_hz:.4f} s)"
            )
        return samples

    def batch_key(self, loaded: Samples) -> int:
        """Return the number of samples."""
        return len(loaded)

    def build_processor(self) -> Any:
        """Load the feature extractor, which scales a recording to unit variance."""
        from transformers import Wav2Vec2FeatureExtractor

        return load_part(Wav2Vec2FeatureExtractor, self.weights)

    def build_backbone(self) -> "torch.nn.Module":
        """Load the encoder; the vector that masks frames in training is not used."""
        from transformers import Wav2Vec2Model

        return load_transformer(
            Wav2Vec2Model,
            self.weights,
            unused=("masked_spec_embed",),
            attn_implementation="sdpa",
        )

    def embed(self, batch: Sequence[Samples]) -> "torch.Tensor":
        """Average the last hidden states over time. Shape: (len(batch), dim)."""
        prepared = self.processor(
            list(batch), sampling_rate=self.processor.sampling_rate, return_tensors="pt"
        )
        output = self.backbone(input_values=prepared["input_values"].to(self.device))
        mean: torch.Tensor = output.last_hidden_state.float().mean(1)
        return mean

    @cached_property
    def _preprocessing(self) -> Mapping[str, Any]:
        return read_preprocessing(self.weights, "feature_extractor")

    @cached_property
    def _min_samples(self) -> int:
        """Samples that the convolutions turn into one frame: their receptive field."""
        num_samples = 1
        layers = zip(self.setting("conv_kernel"), self.setting("conv_stride"), strict=True)
        for kernel, stride in reversed(list(layers)):
            num_samples = (num_samples - 1) * stride + kernel
        return num_samples
