"""Frames that carry their own number: which ones are read of every container, codec and cut."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_clips import (
    NUM_FRAMES,
    Packets,
    Recipe,
    numbers_of,
    recipes,
    with_edits,
    write_numbered,
)

from extractors.base import MediaError
from extractors.media import clip
from extractors.media.clip import duration_seconds, frame_indices, read_frames

OPEN_GOP = "open-gop=1:bframes=8:b-pyramid=2:keyint=25:scenecut=0"
OPEN = Recipe("mp4", "libx264", {"x264-params": OPEN_GOP})
CLOSED = Recipe("mp4", "libx264", {"sc_threshold": "0"})
ALL_KEYS = Recipe("mp4", "libx264", key_distance=1)
FRAGMENTS = {"movflags": "dash+skip_trailer", "frag_duration": "700000"}
SEEKABLE = [
    *(Recipe(suffix, "libx264", OPEN.options) for suffix in ("mp4", "mov", "mkv", "flv", "ts")),
    *(Recipe(suffix, "libx264") for suffix in ("mp4", "m2ts", "nut")),
    Recipe("mp4", "libx264", container_options={"movflags": "frag_keyframe+empty_moov"}),
    Recipe("mkv", "libx264", container_options={"live": "1"}),
    Recipe("avi", "mjpeg", pix_fmt="yuvj420p"),
]


def middle(numbers: Sequence[int]) -> list[int]:
    """Choose the numbers at the midpoints of eight equal segments."""
    return [numbers[index] for index in frame_indices(len(numbers), 8)]


ALL = list(range(NUM_FRAMES))


@pytest.fixture
def no_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every clip fail that is decoded as a whole."""

    def refuse(*_: object) -> None:
        raise AssertionError("decodes the whole clip")

    monkeypatch.setattr(clip, "_read_with_ffmpeg", refuse)


@pytest.mark.parametrize("recipe", recipes(), ids=str)
def test_frames_are_those_of_the_midpoints(tmp_path: Path, recipe: Recipe) -> None:
    path = write_numbered(tmp_path / f"clip.{recipe.suffix}", recipe)
    assert numbers_of(read_frames(path, 8)) == middle(ALL)


@pytest.mark.usefixtures("no_counting")
@pytest.mark.parametrize("recipe", SEEKABLE, ids=str)
def test_what_can_be_sought_is_not_decoded_whole(tmp_path: Path, recipe: Recipe) -> None:
    path = write_numbered(tmp_path / f"clip.{recipe.suffix}", recipe)
    assert numbers_of(read_frames(path, 8)) == middle(ALL)


def begun_late(packets: Packets) -> Packets:
    """Show nothing in the first two seconds."""
    return shifted(packets, 50)


def cut_without_decoding(packets: Packets) -> Packets:
    """Begin at a key frame that lies before what is to be shown, as editors cut."""
    return shifted(packets[75:], -83)


def without_some_keys(packets: Packets) -> Packets:
    """Leave out two key frames, so that the decoder leaves out what depends on them."""
    return [packet for packet in packets if not (packet.is_keyframe and 90 < packet.pts < 140)]


def unsteady(packets: Packets) -> Packets:
    """Show frames for ever longer."""
    for packet in packets:
        packet.pts, packet.dts = (time * (time + 400) // 400 for time in (packet.pts, packet.dts))
    return packets


def shifted(packets: Packets, num_frames: int) -> Packets:
    """Show packets, whose clock counts frames, later or, if negative, earlier."""
    for packet in packets:
        packet.pts, packet.dts = packet.pts + num_frames, packet.dts + num_frames
    return packets


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        (begun_late, ALL),
        (cut_without_decoding, ALL[83:]),
        (unsteady, ALL),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_times_do_not_mislead(
    tmp_path: Path, suffix: str, change: Callable[[Packets], Packets], numbers: list[int]
) -> None:
    recipe = Recipe(suffix, "libx264", CLOSED.options, packets=change)
    path = write_numbered(tmp_path / f"clip.{suffix}", recipe)
    if change is cut_without_decoding and suffix not in ("mp4", "mov"):
        numbers = ALL[75:]  # only these formats note what is not to be shown
    assert numbers_of(read_frames(path, 8)) == middle(numbers)


@pytest.mark.parametrize(
    "parts",
    [
        [(33, 207)],
        [(0, 100), (200, 300)],
        [(10, 40), (77, 123), (250, 300)],
        [(50, 150), (50, 150)],
        [(200, 300), (0, 100)],
    ],
    ids=str,
)
@pytest.mark.parametrize("recipe", [CLOSED, OPEN], ids=["closed", "open"])
def test_edit_lists_are_followed(
    tmp_path: Path, recipe: Recipe, parts: list[tuple[int, int]]
) -> None:
    path = write_numbered(tmp_path / "clip.mp4", recipe)
    with_edits(path, parts)
    with av.open(path) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    shown = [number for begin, end in parts for number in range(begin, end)]
    assert set(numbers_of(decoded)) <= set(shown)
    assert len(decoded) > 0.9 * len(shown)  # at seams, FFmpeg leaves out what depends on others
    assert numbers_of(read_frames(path, 8)) == middle(numbers_of(decoded))
    assert duration_seconds(path) == pytest.approx(len(shown) / 25)


@pytest.mark.parametrize("recipe", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_stream_that_begins_anew_goes_on(tmp_path: Path, recipe: Recipe) -> None:
    path = write_numbered(tmp_path / "clip.ts", recipe)
    path.write_bytes(path.read_bytes() * 2)
    assert numbers_of(read_frames(path, 8)) == middle(ALL * 2)


@pytest.mark.parametrize("place", [0.5, 1], ids=["amid", "behind"])
def test_padding_in_a_stream_ends_nothing(tmp_path: Path, place: float) -> None:
    path = write_numbered(tmp_path / "clip.ts", CLOSED)
    content = path.read_bytes()
    packet_bytes = 188
    begin = int(len(content) / packet_bytes * place) * packet_bytes
    path.write_bytes(content[:begin] + bytes(packet_bytes * 400) + content[begin:])
    assert numbers_of(read_frames(path, 8)) == middle(ALL)


def test_a_stream_entered_midway_begins_with_what_can_be_decoded(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "clip.ts", CLOSED)
    content = path.read_bytes()
    packet_bytes = 188
    path.write_bytes(content[len(content) // packet_bytes // 3 * packet_bytes :])
    found = numbers_of(read_frames(path, 8))
    assert 80 < found[0] < found[-1] < NUM_FRAMES
    assert np.ptp(np.diff(found)) <= 1


def spoiled_before(number: int) -> Callable[[Packets], Packets]:
    """Return what overwrites the five packets before a packet by zeros."""

    def spoil(packets: Packets) -> Packets:
        for packet in packets[number - 5 : number]:
            memory = memoryview(packet)
            memory[:] = bytes(len(memory))
        return packets

    return spoil


@pytest.mark.parametrize(
    "recipe", [Recipe("mkv", "mpeg4"), Recipe("avi", "libx264", CLOSED.options)], ids=str
)
def test_damage_is_a_failure_where_a_frame_is_read_and_elsewhere_moves_none(
    tmp_path: Path, recipe: Recipe
) -> None:
    beside, amid = (
        write_numbered(
            tmp_path / f"{number}.{recipe.suffix}",
            replace(recipe, packets=spoiled_before(number)),
        )
        for number in (150, 130)
    )
    assert numbers_of(read_frames(beside, 8)) == middle(ALL)
    with pytest.raises(MediaError, match=r"damaged: frame \d+ of \d+ cannot be decoded"):
        read_frames(amid, 8)


def test_a_sample_of_no_bytes_is_no_frame(tmp_path: Path) -> None:
    path = write_numbered(
        tmp_path / "empty.mp4", replace(CLOSED, packets=spoiled_before(150))
    )  # the writer of MP4 keeps nothing of such packets
    assert numbers_of(read_frames(path, 8)) == middle(ALL[:145] + ALL[150:])


def test_fewer_frames_than_wanted_are_all_read(tmp_path: Path) -> None:
    for recipe in (CLOSED, Recipe("avi", "libx264")):
        path = write_numbered(tmp_path / f"few.{recipe.suffix}", recipe, range(5))
        assert numbers_of(read_frames(path, 8)) == [0, 1, 2, 3, 4, 4, 4, 4]


@pytest.mark.parametrize("recipe", [CLOSED, Recipe("mkv", "libx264", OPEN.options)], ids=str)
def test_as_many_frames_as_there_are(tmp_path: Path, recipe: Recipe) -> None:
    path = write_numbered(tmp_path / f"all.{recipe.suffix}", recipe)
    assert numbers_of(read_frames(path, NUM_FRAMES)) == ALL


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_clip_recorded_live_has_the_duration_of_its_frames(tmp_path: Path, suffix: str) -> None:
    recipe = Recipe(suffix, "libvpx", {"deadline": "realtime"}, container_options={"live": "1"})
    path = write_numbered(tmp_path / f"live.{suffix}", recipe)
    assert duration_seconds(path) == pytest.approx(NUM_FRAMES / 25, abs=0.05)


def numbers_shown(path: Path) -> list[int]:
    with av.open(path) as container:
        frames = container.decode(container.streams.video[0])
        return numbers_of([frame.to_ndarray(format="rgb24") for frame in frames])


@pytest.mark.parametrize(
    "recipe",
    [
        OPEN,
        CLOSED,
        replace(CLOSED, container_options=FRAGMENTS),
        replace(CLOSED, packets=without_some_keys),
        replace(CLOSED, packets=cut_without_decoding),
        replace(ALL_KEYS, container_options=FRAGMENTS),
        replace(CLOSED, suffix="avi"),
        replace(CLOSED, suffix="flv"),
        Recipe("asf", "wmv2"),
    ],
    ids=str,
)
def test_frames_are_those_of_a_decode_of_the_whole(tmp_path: Path, recipe: Recipe) -> None:
    path = write_numbered(tmp_path / f"clip.{recipe.suffix}", recipe)
    assert numbers_of(read_frames(path, 8)) == middle(numbers_shown(path))
