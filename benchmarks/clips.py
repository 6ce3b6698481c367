"""Checks which frames `read_frames` finds in every container and codec, and times it.

    python benchmarks/clips.py

- `frames`: 300 frames carry their number; eight of them are read of each clip that FFmpeg can write
  of a container and a codec. `right`: those at the midpoints of equal segments. `failure`: recorded
  as one, with the reason. `WRONG`: others. Clips whose pictures do not survive the codec, so that a
  plain decode of all frames shows no numbers, are left out and counted.
- `seconds`: of a processor, that `read_frames` takes, beside a bare call of decord, which seeks
  without checking, on the same clip. Of the repeats' ratios the median counts.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import av
import decord
import numpy as np
from numpy.typing import NDArray

from extractors.base import MediaError
from extractors.media.clip import frame_indices, read_frames

sys.path.append(str(Path(__file__).parents[1] / "tests" / "test_extractors"))
from numbered_clips import (
    NUM_FRAMES,
    Recipe,
    number_of,
    numbers_of,
    recipes,
    write_numbered,
)

NUM_READ = 8
CONTAINERS = (
    *("mp4", "mov", "m4v", "3gp", "3g2", "f4v", "ismv", "mkv", "webm", "avi", "asf", "flv"),
    *("mpg", "vob", "ts", "m2ts", "nut", "mxf", "gxf", "ogv", "ivf", "swf", "wtv", "rm"),
)
MPEG_CONTAINERS = ("mpg", "vob", "ts", "m2ts")
MPEG_ENCODERS = ("libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video")
"""What FFmpeg finds again in MPEG's streams; it writes others, too, but as unknown data."""

X264_OPEN = {"x264-params": "open-gop=1:bframes=8:b-pyramid=2:keyint=30:scenecut=0"}
X265_OPEN = {"x265-params": "log-level=none:open-gop=1:bframes=6:keyint=30:scenecut=0"}
VPX = {"auto-alt-ref": "1", "lag-in-frames": "25", "deadline": "realtime", "cpu-used": "8"}
AV1 = {"preset": "8", "svtav1-params": "rc=0:qp=10:keyint=25"}
ENCODERS: tuple[tuple[str, dict[str, str], dict[str, Any]], ...] = (
    ("libx264", {}, {}),
    ("libx264", X264_OPEN, {}),
    ("libx264", {"x264-params": "tff=1"}, {}),
    ("libx264", {"x264-params": "intra-refresh=1"}, {}),
    ("libx264", {"profile": "high10"}, {"pix_fmt": "yuv420p10le"}),
    ("libx265", {"x265-params": "log-level=none"}, {}),
    ("libx265", X265_OPEN, {}),
    ("libvpx", VPX, {}),
    ("libvpx-vp9", VPX, {}),
    ("libsvtav1", AV1, {}),
    ("mpeg4", {}, {}),
    ("mpeg4", {}, {"b_frames": 3}),
    ("mpeg2video", {}, {"b_frames": 3}),
    ("mpeg2video", {"flags": "+ildct+ilme"}, {"b_frames": 2}),
    ("mpeg1video", {}, {"b_frames": 3}),
    ("msmpeg4", {}, {}),
    ("wmv1", {}, {}),
    ("wmv2", {}, {}),
    ("flv", {}, {}),
    ("h263p", {}, {}),
    ("rv20", {}, {"size": (96, 128)}),
    ("mjpeg", {}, {"pix_fmt": "yuvj420p"}),
    ("prores_ks", {}, {"pix_fmt": "yuv422p10le"}),
    ("dnxhd", {"profile": "dnxhr_lb"}, {"pix_fmt": "yuv422p", "size": (240, 320)}),
    ("ffv1", {}, {}),
    ("huffyuv", {}, {"pix_fmt": "yuv422p"}),
    ("utvideo", {}, {}),
    ("rawvideo", {}, {"pix_fmt": "rgb24"}),
    ("snow", {"strict": "-2"}, {}),
    ("svq1", {}, {"pix_fmt": "yuv410p"}),
    ("cinepak", {}, {"pix_fmt": "rgb24"}),
    ("qtrle", {}, {"pix_fmt": "rgb24"}),
    ("png", {}, {"pix_fmt": "rgb24"}),
)
MOVE_FLAGS = ("faststart", "frag_keyframe+empty_moov", "negative_cts_offsets", "cmaf", "rtphint")


def all_recipes() -> Iterator[Recipe]:
    """List every encoder in every container, then ways of their own."""
    for suffix in CONTAINERS:
        for codec, options, settings in ENCODERS:
            if suffix not in MPEG_CONTAINERS or codec in MPEG_ENCODERS:
                yield Recipe(suffix, codec, options, **settings)
    for flags in MOVE_FLAGS:
        yield Recipe("mp4", "libx264", X264_OPEN, container_options={"movflags": flags})
    yield Recipe("dv", "dvvideo", size=(576, 720))
    yield from (recipe for recipe in recipes() if recipe.suffix not in CONTAINERS)


def judge(path: Path) -> str:
    """Say what `read_frames` finds in a clip."""
    try:
        found = numbers_of(read_frames(path, NUM_READ))
    except MediaError as error:
        return f"failure: {error}"
    shown = decoded_numbers(path)
    wanted = [shown[index] for index in frame_indices(len(shown), NUM_READ)]
    if -1 in wanted:
        return "shows no numbers"
    return "right" if found == wanted else f"WRONG: {found}, expected {wanted}"


def decoded_numbers(path: Path) -> list[int]:
    """Decode a whole clip by a bare loop, and read the numbers."""
    numbers: list[int] = []
    with av.open(path) as container, suppress(av.FFmpegError):  # some end in an error
        for frame in container.decode(container.streams.best("video")):
            numbers += [number_of(frame.to_ndarray(format="rgb24"))]
    return numbers


def check_frames(folder: Path) -> Counter[str]:
    """Print a line `frames` for every clip that can be written."""
    counts: Counter[str] = Counter()
    for number, recipe in enumerate(all_recipes()):
        path = folder / f"{number}.{recipe.suffix}"
        try:
            write_numbered(path, recipe)
        except (av.FFmpegError, ValueError):
            counts["cannot be written"] += 1
            continue
        verdict = judge(path)
        path.unlink()
        counts[verdict.partition(":")[0]] += 1
        print(f"frames: {recipe}: {verdict}", flush=True)
    return counts


def read_by_decord(path: Path) -> NDArray[np.uint8]:
    """Read the same frames by decord."""
    reader = decord.VideoReader(str(path), num_threads=1)
    frames: NDArray[np.uint8] = reader.get_batch(frame_indices(len(reader), NUM_READ)).asnumpy()
    return frames


def seconds(work: Callable[[], object]) -> float:
    """Return how many seconds of a processor `work` takes, whatever else the machine does."""
    start = time.process_time()
    work()
    return time.process_time() - start


def write_moving(path: Path, num_frames: int) -> None:
    """Write an H.264 clip of 1280 x 720 that shows one number after the other."""
    recipe = Recipe("mp4", "libx264", {"preset": "veryfast"}, size=(720, 1280), key_distance=250)
    write_numbered(path, recipe, (number % NUM_FRAMES for number in range(num_frames)))


def compare_seconds(folder: Path, num_seconds: int, repeats: int) -> None:
    """Print a line `seconds`."""
    path = folder / f"{num_seconds}.mp4"
    write_moving(path, num_seconds * 25)
    ours, bare = [], []
    for _ in range(repeats):
        for read, times in (
            (lambda: read_frames(path, NUM_READ), ours),
            (lambda: read_by_decord(path), bare),
        ):
            times.append(seconds(read))
    ratios = sorted(first / second for first, second in zip(ours, bare, strict=True))
    print(
        f"seconds: H.264, 1280 x 720, {num_seconds} s: read_frames {median(ours):.2f}, decord "
        f"{median(bare):.2f}; ratio {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def main() -> None:
    """Print the verdicts, their counts, and the seconds; fail if any frame is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, nargs="*", default=[10, 120], help="of clips timed")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    av.logging.set_level(None)
    decord.logging.set_level(decord.logging.QUIET)
    with tempfile.TemporaryDirectory() as folder:
        counts = check_frames(Path(folder))
        print(f"frames: {', '.join(f'{count} {name}' for name, count in counts.items())}")
        for num_seconds in arguments.seconds:
            compare_seconds(Path(folder), num_seconds, arguments.repeats)
    if counts["WRONG"]:
        raise SystemExit(f"found {counts['WRONG']} clips whose frames are wrong; expected 0")


if __name__ == "__main__":
    main()
