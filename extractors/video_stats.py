"""Clips as statistics of some of their frames and of what moves; needs no weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, RawContent
from extractors.image_stats import ImageStats, ImageStatsConfig, picture_statistics, statistics_dim
from extractors.media.clip import duration_seconds, read_frames

if TYPE_CHECKING:
    from PIL import Image

_MOTION_SIZE = 32
_MOTION_CELLS = 4


class VideoStatsConfig(ImageStatsConfig):
    """Config of `video_stats`: that of `image_stats`, and how many frames to look at."""

    num_frames: int = Field(
        8, ge=2, le=64, description="Frames that are read, spread over the whole clip."
    )


class VideoStats(Extractor[VideoStatsConfig, NDArray[np.float32]]):
    """Mean picture statistics of a clip's frames, its motion, and its length.

    They are made where it is decoded, so that little travels.
    """

    name = "video_stats"
    modality = "video"
    item_kind = "file"
    version = 3
    Config = VideoStatsConfig

    @property
    def dim(self) -> int:
        """Length of a row."""
        return statistics_dim(self.config.cells) + _MOTION_CELLS**2 + 3

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the config, and the version of the picture statistics that this one averages."""
        return {**self.config.model_dump(), "image_stats_version": ImageStats.version}

    def load(self, content: RawContent) -> NDArray[np.float32]:
        """Read a clip's frames and describe them. Shape: (dim,)."""
        from PIL import Image

        path, config = Path(str(content)), self.config
        pictures = [Image.fromarray(frame) for frame in read_frames(path, config.num_frames)]
        looks = [picture_statistics(picture, config.size, config.cells) for picture in pictures]
        groups = (
            np.mean(looks, axis=0),
            _motion_statistics(pictures),
            [np.log10(max(duration_seconds(path), 0.01))],
        )
        return np.concatenate(groups).astype(np.float32)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)


def _motion_statistics(pictures: Sequence["Image.Image"]) -> NDArray[np.float64]:
    """Say where brightness changes between frames, and how much it does on average and at most.

    Returns:
        Square roots of the mean changes. Shape: (_MOTION_CELLS**2 + 2,).
    """
    from PIL import Image

    size = (_MOTION_SIZE, _MOTION_SIZE)
    grays = [picture.convert("L").resize(size, Image.Resampling.BOX) for picture in pictures]
    changes = np.abs(np.diff([np.asarray(gray) / 255 for gray in grays], axis=0))
    side = _MOTION_SIZE // _MOTION_CELLS
    cells = changes.reshape(len(changes), _MOTION_CELLS, side, _MOTION_CELLS, side)
    by_step = changes.mean(axis=(1, 2))
    where = cells.mean(axis=(0, 2, 4)).ravel()
    root: NDArray[np.float64] = np.sqrt([*where, by_step.mean(), by_step.max()])
    return root
