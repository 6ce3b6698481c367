"""Scaling pictures: the pixels must be those of open_clip's transform, to the last bit."""

import numpy as np
import pytest
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from pydantic import ValidationError

from extractors.media.scaling import Scaling

PICTURE_SIZES = [(64, 64), (1, 1), (7, 200), (200, 7), (333, 250), (31, 32), (32, 48), (97, 61)]


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("size", [32, (33, 33), (24, 40), (41, 23)])
def test_pixels_are_those_of_open_clip(
    resize_mode: str, interpolation: str, size: int | tuple[int, int]
) -> None:
    options = {
        "size": size,
        "resize_mode": resize_mode,
        "interpolation": interpolation,
        "fill_color": 9,
    }
    scaling = Scaling.model_validate(options)
    unscaled = PreprocessCfg(**options, mean=(0.0,) * 3, std=(1.0,) * 3)  # type: ignore[arg-type]
    transform = image_transform_v2(unscaled, is_train=False)
    rng = np.random.default_rng(0)
    for width, height in PICTURE_SIZES:
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        try:
            expected = (transform(picture) * 255).round().byte().numpy()
        except ValueError:  # a side that would be scaled to less than half a pixel
            with pytest.raises(ValueError, match="> 0"):
                scaling.apply(picture)
            continue
        np.testing.assert_array_equal(scaling.apply(picture), expected)


def test_what_is_not_named_is_openclips_default() -> None:
    scaling, defaults = Scaling.model_validate({"size": 224}), PreprocessCfg()
    for name in ("resize_mode", "interpolation", "fill_color"):
        assert getattr(scaling, name) == getattr(defaults, name)


def test_bad_values_are_refused() -> None:
    for name, value in {"size": 0, "fill_color": 256, "resize_mode": "tile"}.items():
        with pytest.raises(ValidationError, match=name):
            Scaling.model_validate({"size": 32, name: value})
