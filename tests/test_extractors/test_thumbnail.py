"""Small copies: of what size, how long, the same each time, and refused where nothing is to see."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from media_files import draw_picture, sine, write_clip
from PIL import Image

from extractors.base import MediaError, Runtime
from extractors.extraction import extract_modality
from extractors.inspection.openable_files import openable_files
from extractors.loading import Failure
from extractors.media.picture import MAX_ASPECT
from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan
from extractors.registry import build_extractor
from extractors.thumbnail import (
    NUM_FRAMES,
    SOUND_SECONDS,
    Copier,
    copy_clip,
    copy_picture,
    copy_sound,
)
from storage.datasets.dataset import read_dataset
from storage.files.file_access import FilesBelow, FileSignature, ListedFile


@pytest.mark.parametrize(("size", "expected"), [((400, 200), (128, 64)), ((20, 10), (20, 10))])
def test_a_picture_fits_a_square_and_is_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", size, "red").save(path)
    copy = copy_picture(path)
    assert copy.mime == "image/webp"
    assert Image.open(BytesIO(copy.content)).size == expected


def test_an_endless_strip_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    Image.new("RGB", (20_000, 1), "red").save(path)
    assert Image.open(BytesIO(copy_picture(path).content)).size == (MAX_ASPECT, 1)


@pytest.mark.parametrize("seconds", [0.2, 1.0, 8.0])
def test_a_sound_is_its_beginning(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sine(440, seconds, 16_000), 16_000)
    copy = copy_sound(path)
    assert copy.mime == "audio/mpeg"
    samples, rate_hz = soundfile.read(BytesIO(copy.content))
    assert abs(len(samples) / rate_hz - min(seconds, SOUND_SECONDS)) < 0.15
    peak = np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples)
    assert abs(peak - 440) < 10


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 48), (64, 48)), ((400, 300), (128, 96)), ((2000, 10), (128, 2))]
)
def test_a_clip_is_frames_of_even_size(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    levels = range(0, 250, 10)
    pictures = [np.full((size[1], size[0], 3), level, np.uint8) for level in levels]
    clip, poster = copy_clip(write_clip(tmp_path / "clip.mp4", pictures))
    assert (clip.mime, poster.mime) == ("video/mp4", "image/webp")
    with av.open(BytesIO(clip.content)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == NUM_FRAMES
    assert frames[0].shape == expected[::-1]
    brightness = [frame.mean() for frame in frames]
    assert brightness == sorted(brightness)


@pytest.mark.parametrize("copy", [copy_picture, copy_sound, copy_clip])
def test_what_cannot_be_decoded_is_refused(tmp_path: Path, copy: Callable[[Path], object]) -> None:
    path = tmp_path / "nothing"
    path.write_bytes(b"neither picture nor sound nor clip")
    with pytest.raises(MediaError):
        copy(path)


def test_copies_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    picture = draw_picture(tmp_path / "picture.png", "blue", "ellipse")
    assert copy_picture(picture) == copy_picture(picture)
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, sine(300, 1, 8_000), 8_000)
    assert copy_sound(sound) == copy_sound(sound)
    noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    clip = write_clip(tmp_path / "clip.mp4", list(noise))
    assert len({copy_clip(clip) for _ in range(8)}) == 1


def listed(path: Path) -> ListedFile:
    signature = FilesBelow(path.parent).signature(path.name)
    assert isinstance(signature, FileSignature)
    return ListedFile(str(path.parent), path.name, signature)


class TestCopier:
    def test_it_copies_as_the_functions_do_and_goes_on_after_a_failure(
        self, tmp_path: Path
    ) -> None:
        good, bad = tmp_path / "good.png", tmp_path / "bad.png"
        Image.new("RGB", (40, 20), "red").save(good)
        bad.write_text("no picture")
        with Copier("image", 20) as copier:
            assert copier.copy(listed(bad)) == Failure("not a picture of a known format")
            assert copier.copy(listed(good)) == [copy_picture(good)]

    def test_a_decoder_that_does_not_end_is_ended(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        write_clip(path, np.zeros((30, 64, 64, 3), dtype=np.uint8))
        with Copier("video", 0.001) as copier:
            assert copier.copy(listed(path)) == Failure("not decoded within 0.001 s")

    def test_a_file_that_was_replaced_is_not_copied(self, tmp_path: Path) -> None:
        path = tmp_path / "picture.png"
        Image.new("RGB", (40, 20), "red").save(path)
        file = listed(path)
        path.unlink()
        os.mkfifo(path)
        with Copier("image", 20) as copier:
            assert copier.copy(file) == Failure("a FIFO, not a file", lasting=False)


def test_what_has_failed_under_another_name_is_not_openable(tmp_path: Path) -> None:
    root, store = tmp_path / "dataset", tmp_path / "store"
    root.mkdir()
    Image.new("RGB", (40, 20), "red").save(root / "good.png")
    (root / "bad.png").write_text("no picture")
    (root / "out.png").symlink_to("/etc/hostname")
    names = ["good.png", "bad.png", "out.png", "absent.png"]
    lines = [f'{{"id": "{name}", "image": "{name}"}}\n' for name in names]
    (root / "entities.jsonl").write_text("".join(lines))
    for split in ("train", "valid", "test"):
        (root / f"{split}.tsv").write_text("good.png\tis\tbad.png\n")
    assert [*openable_files(root, names, store, ["image_stats"])] == ["good.png", "bad.png"]

    plan = ModalityPlan("image", build_extractor("image_stats", {}, Runtime()), ("image",))
    extract_modality(read_dataset(root), plan, store, ExtractOptions(num_workers=1))
    (root / "bad.png").rename(root / "other.png")
    names = ["good.png", "other.png", "out.png"]
    assert [*openable_files(root, names, store, ["image_stats"])] == ["good.png"]
    assert [*openable_files(root, names, store, ["image_clip"])] == ["good.png", "other.png"]
