"""Sound by CLAP: its audio embedding, averaged over windows of the length it was trained on.

CLAP's own preprocessing crops a long recording at random, and marks a random one of a batch as
long. Here a recording is cut into consecutive windows instead, none of which is longer than the
model hears, and their embeddings are averaged by duration: the same recording always yields the
same vector. A window that is not full is repeated or padded as the checkpoint prescribes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import RawContent
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


class ClapConfig(CheckpointConfig):
    """Config of `audio_clap`."""

    model: ModelName = "laion/clap-htsat-unfused"
    max_seconds: float = Field(
        60.0, gt=0, le=3600, description="Seconds of a sound that are read, from its start."
    )


@dataclass(frozen=True)
class SoundWindows:
    """Consecutive windows of one sound.

    Attributes:
        mels: Mel spectrograms in dB. Shape: (num_windows, num_channels, num_frames, num_mels).
        shares: Each window's share of the sound's duration; they add up to 1.
            Shape: (num_windows,).
    """

    mels: NDArray[np.float32]
    shares: NDArray[np.float32]


class ClapExtractor(PretrainedExtractor[ClapConfig, SoundWindows]):
    """Encodes a sound by CLAP's audio tower and projection."""

    name = "audio_clap"
    modality = "audio"
    item_kind = "file"
    version = 3
    model_type = "clap"
    Config = ClapConfig

    @property
    def dim(self) -> int:
        """Width of the space that CLAP shares between sounds and texts."""
        return int(self.setting("audio_config", "projection_dim"))

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Name the weights, the pooling and how the sound is prepared."""
        return {
            "weights": self.weights.identity,
            "pooling": "mean of windows by duration",
            "max_seconds": self.config.max_seconds,
            "preprocessing": read_preprocessing(self.weights, "feature_extractor"),
        }

    def load(self, content: RawContent) -> SoundWindows:
        """Read a sound and compute the spectrograms of its windows."""
        rate_hz, length = self.processor.sampling_rate, self.processor.nb_max_samples
        samples = read_sound(Path(str(content)), rate_hz, self.config.max_seconds)
        windows = [samples[start : start + length] for start in range(0, len(samples), length)]
        prepared = self.processor(windows, sampling_rate=rate_hz, return_tensors="np")
        shares = np.array([len(window) / len(samples) for window in windows], np.float32)
        return SoundWindows(np.asarray(prepared["input_features"], np.float32), shares)

    def build_processor(self) -> Any:
        """Load the feature extractor, which computes mel spectrograms."""
        from transformers import ClapFeatureExtractor

        return load_part(ClapFeatureExtractor, self.weights)

    def build_backbone(self) -> "torch.nn.Module":
        """Load the audio tower and its projection."""
        from transformers import ClapAudioModelWithProjection

        return load_transformer(ClapAudioModelWithProjection, self.weights)

    def embed(self, batch: Sequence[SoundWindows]) -> "torch.Tensor":
        """Average the windows' embeddings. Shape: (len(batch), dim).

        Windows pass in groups no larger than the batch, whose size bounds the memory needed.
        """
        import torch

        mels = np.concatenate([item.mels for item in batch])
        groups = [mels[start : start + len(batch)] for start in range(0, len(mels), len(batch))]
        embedded = torch.cat([self._embed_windows(group) for group in groups])
        shares = torch.from_numpy(np.concatenate([item.shares for item in batch]))
        weighted = embedded * shares.to(self.device)[:, None]
        ends = np.cumsum([len(item.shares) for item in batch])
        sounds = [
            weighted[end - len(item.shares) : end] for item, end in zip(batch, ends, strict=True)
        ]
        return torch.stack([sound.sum(0) for sound in sounds])

    def _embed_windows(self, mels: NDArray[np.float32]) -> "torch.Tensor":
        """Embed windows, none of them "longer" in CLAP's sense. Shape: (len(mels), dim)."""
        import torch

        is_longer = torch.zeros(len(mels), 1, dtype=torch.bool, device=self.device)
        features = torch.from_numpy(mels).to(self.device)
        output = self.backbone(input_features=features, is_longer=is_longer)
        embeds: torch.Tensor = output.audio_embeds.float()
        return embeds
