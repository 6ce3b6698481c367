"""Pictures as statistics of colour, layout and gradients; needs no weights.

Square-rooted histograms: Arandjelović and Zisserman, "Three things everyone should know to improve
object retrieval" (CVPR 2012); gradient orientations: Dalal and Triggs, "Histograms of Oriented
Gradients for Human Detection" (CVPR 2005), without overlapping blocks.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, RawContent
from extractors.media.picture import read_picture

if TYPE_CHECKING:
    from PIL import Image

Statistics = NDArray[np.float32]

_HUE_BINS, _SATURATION_BINS, _VALUE_BINS = 8, 3, 3
_ORIENTATIONS = 9


class ImageStatsConfig(ExtractorConfig):
    """Config of `image_stats`."""

    size: int = Field(64, ge=16, le=512, description="Pixels a side that pictures are scaled to.")
    cells: int = Field(
        4, ge=1, le=8, description="Cells a side in which layout and gradients are described."
    )


class ImageStats(Extractor[ImageStatsConfig, Statistics]):
    """Statistics of a picture; they are made where it is decoded, so that little travels."""

    name = "image_stats"
    modality = "image"
    item_kind = "file"
    version = 3
    Config = ImageStatsConfig

    @property
    def dim(self) -> int:
        """Length of a row."""
        return statistics_dim(self.config.cells)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the config."""
        return self.config.model_dump()

    def load(self, content: RawContent) -> Statistics:
        """Read a picture and describe it. Shape: (dim,)."""
        picture = read_picture(Path(str(content)), least_side=2 * self.config.size)
        return picture_statistics(picture, self.config.size, self.config.cells)

    def encode(self, batch: Sequence[Statistics]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)


def statistics_dim(cells: int) -> int:
    """Return the length of what `picture_statistics` returns."""
    histogram = _HUE_BINS * _SATURATION_BINS * _VALUE_BINS
    return histogram + cells * cells * (6 + _ORIENTATIONS) + 1


def picture_statistics(picture: "Image.Image", size: int, cells: int) -> Statistics:
    """Describe a picture by its colours, where they are, its gradients, and its shape.

    The first three have norm 1 each.

    Args:
        picture: A picture of mode RGB.
        size: Pixels a side that it is scaled to.
        cells: Cells a side, for layout and gradients.

    Returns:
        Shape: (statistics_dim(cells),).
    """
    from PIL import Image

    box = Image.Resampling.BOX
    scaled = picture.resize((size, size), box, reducing_gap=2.0)  # almost as exact, twice as fast
    aspect = np.log2(picture.width / picture.height)
    groups = (
        _colour_histogram(scaled),
        _colour_layout(scaled, cells),
        _gradient_histograms(scaled, cells),
        np.clip([aspect / 4], -1, 1),
    )
    return np.concatenate(groups).astype(np.float32)


def _colour_histogram(picture: "Image.Image") -> NDArray[np.float64]:
    """Return the square roots of the shares of hue, saturation and value."""
    pixels = np.asarray(picture.convert("HSV")).reshape(-1, 3).astype(np.int64)
    hue, saturation, value = (
        pixels * (_HUE_BINS, _SATURATION_BINS, _VALUE_BINS) // 256
    ).T  # integer bins of 0..255
    hue = np.where(saturation == 0, 0, hue)  # what is nearly gray has no hue worth the name
    bins = (hue * _SATURATION_BINS + saturation) * _VALUE_BINS + value
    num_bins = _HUE_BINS * _SATURATION_BINS * _VALUE_BINS
    return np.sqrt(np.bincount(bins, minlength=num_bins) / len(bins))


def _colour_layout(picture: "Image.Image", cells: int) -> NDArray[np.float64]:
    """Return mean and deviation of the colour channels in every cell."""
    cell_of_pixel = _cell_of_pixel(picture.width, cells).ravel()
    num_pixels = np.bincount(cell_of_pixel)
    channels = np.asarray(picture, dtype=np.float64).reshape(-1, 3).T / 255
    means = [np.bincount(cell_of_pixel, channel) / num_pixels for channel in channels]
    squares = [np.bincount(cell_of_pixel, channel**2) / num_pixels for channel in channels]
    deviations = np.sqrt(np.maximum(np.array(squares) - np.array(means) ** 2, 0))
    return _normalise(np.concatenate([np.array(means).ravel(), deviations.ravel()]))


def _gradient_histograms(picture: "Image.Image", cells: int) -> NDArray[np.float64]:
    """Return the square roots of the shares of contrast by cell and direction."""
    down, right = np.gradient(np.asarray(picture.convert("L"), dtype=np.float32))
    directions = np.arctan2(down, right) % np.pi * (_ORIENTATIONS / np.pi)
    bins = np.minimum(directions.astype(np.intp), _ORIENTATIONS - 1)
    bins += _ORIENTATIONS * _cell_of_pixel(picture.width, cells)
    contrasts = np.bincount(
        bins.ravel(), np.hypot(down, right).ravel(), minlength=cells * cells * _ORIENTATIONS
    )
    return np.sqrt(_normalise(contrasts.astype(np.float64), order=1))


@lru_cache
def _cell_of_pixel(size: int, cells: int) -> NDArray[np.intp]:
    """Number the cells that the pixels lie in. Shape: (size, size)."""
    places = np.arange(size) * cells // size
    return places[:, np.newaxis] * cells + places


def _normalise(values: NDArray[np.float64], order: int = 2) -> NDArray[np.float64]:
    """Scale to norm 1; nothing stays nothing."""
    norm = np.linalg.norm(values, ord=order)
    return values / norm if norm > 0 else values
