"""Scaling a picture to a backbone's size, to the very pixels of open_clip's transforms.

By Pillow, which those transforms call too: importing them costs every worker process seconds and
hundreds of megabytes.
"""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]

_Side = Annotated[int, Field(ge=1, le=4096)]


def _both_sides(size: object) -> object:
    return (size, size) if isinstance(size, int) else size


class Scaling(BaseModel):
    """How any picture becomes one of a fixed size; the names are those of open_clip's configs.

    Attributes:
        size: Height and width in pixels, or one number for both.
        resize_mode: `shortest`: scale until the picture just covers the size, and crop the centre;
            `longest`: scale until it just fits, and pad; `squash`: scale each side by itself.
        interpolation: Of `shortest` with two different sides, open_clip makes it bicubic.
            `random` is for training, and bicubic here.
        fill_color: Gray of the padding.
    """

    model_config = ConfigDict(frozen=True)

    size: Annotated[tuple[_Side, _Side], BeforeValidator(_both_sides)]
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    fill_color: int = Field(0, ge=0, le=255)

    def apply(self, picture: "Image.Image") -> Pixels:
        """Scale a picture of mode RGB. Shape: (3, height, width)."""
        ways = {"shortest": self._cover, "longest": self._pad, "squash": self._squash}
        scaled = np.asarray(ways[self.resize_mode](picture))
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _cover(self, picture: "Image.Image") -> "Image.Image":
        height, width = self.size
        if height == width:
            shorter = min(picture.size)
            # the longer side is cut to an integer, as torchvision's Resize does
            scaled = (int(height * side / shorter) for side in picture.size)
            picture = self._resize(picture, *scaled)
        else:
            ratio = min(picture.height / height, picture.width / width)
            picture = self._resize(picture, *_divide(picture, ratio), bilinear=False)
        left = round((picture.width - width) / 2)
        top = round((picture.height - height) / 2)
        return picture.crop((left, top, left + width, top + height))

    def _pad(self, picture: "Image.Image") -> "Image.Image":
        from PIL import Image

        height, width = self.size
        ratio = max(picture.height / height, picture.width / width)
        picture = self._resize(picture, *_divide(picture, ratio))
        canvas = Image.new("RGB", (width, height), (self.fill_color,) * 3)
        canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        return canvas

    def _squash(self, picture: "Image.Image") -> "Image.Image":
        return self._resize(picture, *reversed(self.size))

    def _resize(
        self, picture: "Image.Image", width: int, height: int, *, bilinear: bool = True
    ) -> "Image.Image":
        from PIL.Image import Resampling

        linear = bilinear and self.interpolation == "bilinear"
        return picture.resize(
            (width, height), Resampling.BILINEAR if linear else Resampling.BICUBIC
        )


def _divide(picture: "Image.Image", ratio: float) -> tuple[int, int]:
    """Return width and height divided by a ratio."""
    return round(picture.width / ratio), round(picture.height / ratio)
