"""Films how a thing moves, and in what company; gray on gray, so that nothing else shows."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from extractors.sample.vocabulary import TRAITS
from extractors.sample.world import Thing

SIZE = 64
"""Width and height of a frame, in pixels."""

NUM_FRAMES = 16
FRAMES_PER_SECOND = 10

_CYCLES = 2
"""How often a clip repeats its motion."""

_ENCODING = {"crf": "30", "x264-params": "threads=1:mbtree=0"}
"""More threads change the bytes; so does, from run to run, x264's macroblock tree on frames as
small as these."""


def film(thing: Thing, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Film a thing: each time from elsewhere, in another light, from another moment on.

    Returns:
        Gray frames. Shape: (NUM_FRAMES, SIZE, SIZE).
    """
    phase = 2 * np.pi * (_CYCLES * np.arange(NUM_FRAMES) / NUM_FRAMES + rng.uniform())
    across, down, swelling, light = _motion(thing.traits["motion"], phase)
    middle = SIZE * rng.uniform(0.45, 0.55, size=2)
    swing = SIZE * rng.uniform(0.2, 0.26)
    pixels = np.arange(SIZE)
    coverage = np.zeros((NUM_FRAMES, SIZE, SIZE))
    radius = 0.09 * SIZE * swelling[:, None, None]
    for aside, below in _company(thing.traits["company"]):
        x = middle[0] + swing * across + SIZE * aside
        y = middle[1] + swing * down + SIZE * below
        squared = (pixels - x[:, None])[:, None, :] ** 2 + (pixels - y[:, None])[:, :, None] ** 2
        coverage = np.maximum(coverage, np.clip(radius + 0.5 - np.sqrt(squared), 0, 1))
    ground, body = rng.uniform(30, 60), rng.uniform(190, 230)
    grain = 2 * rng.standard_normal(coverage.shape, dtype=np.float32)
    gray = ground + (body - ground) * coverage * light[:, None, None] + grain
    frames: NDArray[np.float64] = np.clip(gray, 0, 255)
    return frames.astype(np.uint8)


def write_clip(path: Path, frames: NDArray[np.uint8]) -> None:
    """Encode gray frames of shape (num_frames, height, width) as H.264 in MP4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=_ENCODING)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def _motion(name: str, phase: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return place across and down, in [-1, 1], radius and light, each of shape (num_frames,)."""
    swing, turned = np.sin(phase), np.cos(phase)
    still, whole = np.zeros_like(phase), np.ones_like(phase)
    radius: NDArray[np.float64] = 1 + 0.6 * swing
    return {
        "gliding": (swing, still, whole, whole),
        "bobbing": (still, swing, whole, whole),
        "slanting": (swing, swing, whole, whole),
        "circling": (swing, turned, whole, whole),
        "blinking": (still, still, whole, (swing > 0).astype(np.float64)),
        "swelling": (still, still, radius, whole),
    }[name]


def _company(name: str) -> list[tuple[float, float]]:
    """Return the place of each body of a company about its middle, in widths of a frame."""
    num_bodies = 1 + TRAITS["company"].index(name)
    if num_bodies == 1:
        return [(0.0, 0.0)]
    angles = 2 * np.pi * np.arange(num_bodies) / num_bodies
    return [(0.13 * float(np.cos(angle)), 0.13 * float(np.sin(angle))) for angle in angles]
