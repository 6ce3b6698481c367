"""What holds for every extractor without weights; they are found through the registry."""

import atexit
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from media_files import draw_picture, sine, write_gray_clip
from pydantic import ValidationError

from extractors.base import Extractor, MediaError, RawContent, Runtime
from extractors.pretrained import PretrainedExtractor
from extractors.registry import build_extractor, load_extractor_class, names

WEIGHT_FREE = [
    name for name in names() if not issubclass(load_extractor_class(name), PretrainedExtractor)
]


TEXTS = ["a red fox", "Ein Stück Käse", "狐と犬 🦊"]


@cache
def required(name: str) -> Mapping[str, Any]:
    """Return what an extractor's config cannot do without."""
    if name != "imported":
        return {}
    folder = Path(tempfile.mkdtemp(prefix="mocme-imported-"))
    atexit.register(shutil.rmtree, folder)
    rows = np.random.default_rng(0).random((4, 3, 5))
    np.savez(folder / "features.npz", features=rows[0], other=rows[1])
    np.savez(folder / "other.npz", features=rows[2], other=rows[3])
    for ids, order in (("ids.txt", TEXTS), ("other.txt", TEXTS[::-1])):
        (folder / ids).write_text("\n".join(order))
    paths = {"file": str(folder / "features.npz"), "ids": str(folder / "ids.txt")}
    return {**paths, "key": "features"}


def build(name: str, **config: object) -> Extractor[Any, Any]:
    return build_extractor(name, {**required(name), **config}, Runtime())


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[RawContent]]:
    """Three different good items of every sort."""
    folder = tmp_path_factory.mktemp("samples")
    for hz in (220, 440, 3000):
        soundfile.write(folder / f"{hz}.wav", sine(hz, 0.3, 16_000), 16_000)
    return {
        "pictures": [
            draw_picture(folder / "a.png", "red", "rectangle"),
            draw_picture(folder / "b.png", "red", "ellipse"),
            draw_picture(folder / "c.png", "green", "ellipse"),
        ],
        "sounds": [folder / f"{hz}.wav" for hz in (220, 440, 3000)],
        "clips": [
            write_gray_clip(folder / "a.mp4", [100] * 8),
            write_gray_clip(folder / "b.mp4", [0, 80, 160, 240] * 2),
            write_gray_clip(folder / "c.mp4", [100] * 30),
        ],
        "text": list(TEXTS),
        "numbers": [{"height": 2.5, "year": 1999}, {"height": -1}, {"weight": 0.0, "year": None}],
    }


def fitting(
    extractor: Extractor[Any, Any], samples: Mapping[str, list[RawContent]]
) -> list[RawContent]:
    """Return the samples that an extractor takes; the suite needs no table of modalities."""
    if extractor.item_kind != "file":
        extractor.prepare(samples[extractor.item_kind])
        return samples[extractor.item_kind]
    for sort in ("pictures", "sounds", "clips"):
        try:
            extractor.load(samples[sort][0])
        except MediaError:
            continue
        return samples[sort]
    raise AssertionError(f"{extractor.name} takes no sample")


def vectors_of(extractor: Extractor[Any, Any], contents: list[RawContent]) -> np.ndarray:
    return extractor.encode([extractor.load(content) for content in contents])


@pytest.mark.parametrize("name", WEIGHT_FREE)
class TestEveryWeightFreeExtractor:
    def test_vectors_have_the_promised_form(
        self, name: str, samples: Mapping[str, list[RawContent]]
    ) -> None:
        extractor = build(name)
        vectors = vectors_of(extractor, fitting(extractor, samples))
        assert vectors.dtype == np.float32
        assert vectors.shape == (3, extractor.dim)
        assert np.isfinite(vectors.astype(extractor.space("float16").dtype)).all()

    def test_an_item_has_the_same_vector_in_any_company(
        self, name: str, samples: Mapping[str, list[RawContent]]
    ) -> None:
        extractor = build(name)
        contents = fitting(extractor, samples)
        together = vectors_of(extractor, contents)
        alone = np.concatenate([vectors_of(extractor, [content]) for content in contents])
        np.testing.assert_array_equal(together, alone)

    def test_different_items_have_different_vectors(
        self, name: str, samples: Mapping[str, list[RawContent]]
    ) -> None:
        extractor = build(name)
        vectors = vectors_of(extractor, fitting(extractor, samples))
        assert len(np.unique(vectors, axis=0)) == 3

    def test_it_reaches_a_worker_whole(
        self, name: str, samples: Mapping[str, list[RawContent]]
    ) -> None:
        extractor = build(name)
        contents = fitting(extractor, samples)
        arrived = pickle.loads(pickle.dumps(extractor))  # noqa: S301 - our own
        np.testing.assert_array_equal(
            vectors_of(arrived, contents), vectors_of(extractor, contents)
        )
        assert arrived.space("float16") == extractor.space("float16")

    def test_every_option_is_in_the_fingerprint(self, name: str) -> None:
        usual = build(name).space("float16").fingerprint
        for field, info in load_extractor_class(name).Config.model_fields.items():
            if field in CHANGES_NO_VECTOR:
                continue
            other = build(name, **{field: another_value(name, field, info.default)})
            assert other.space("float16").fingerprint != usual, field

    def test_the_version_and_the_dtype_are_in_the_fingerprint(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extractor = build(name)
        usual = extractor.space("float16")
        json.dumps(usual.describe())
        if extractor.fixed_dtype is None:
            assert extractor.space("float32").fingerprint != usual.fingerprint
        monkeypatch.setattr(type(extractor), "version", extractor.version + 1)
        assert extractor.space("float16").fingerprint != usual.fingerprint

    def test_a_bad_item_is_a_media_error_in_one_line(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "bad").write_text("this is a text and no medium")
        extractor = build(name)
        bad: dict[str, RawContent] = {
            "file": tmp_path / "bad",
            "text": "  \n",
            "numbers": {"height": "tall"},
        }
        others = TEXTS if extractor.item_kind == "text" else []
        extractor.prepare([*others, bad[extractor.item_kind]])
        with pytest.raises(MediaError) as refusal:
            extractor.load(bad[extractor.item_kind])
        assert str(refusal.value)
        assert "\n" not in str(refusal.value)


CHANGES_NO_VECTOR = {"ignore_unknown"}


def another_value(name: str, field: str, default: object) -> object:
    """Return an allowed value that is not the default."""
    if field in required(name):
        return str(Path(required(name)[field]).with_stem("other"))
    if default is None:
        return ["height"]
    assert isinstance(default, int | float)
    for candidate in (default * 2, default // 2, default + 1, default - 1):
        try:
            load_extractor_class(name).Config.model_validate({field: candidate})
        except ValidationError:
            continue
        return candidate
    raise AssertionError(f"{name}.{field} allows one value only")


def test_vectors_are_equal_in_every_process(samples: Mapping[str, list[RawContent]]) -> None:
    """Python's own hashes differ from process to process; and no backbone library is needed."""
    script = """
import hashlib, json, sys
from pathlib import Path
from extractors.base import Runtime
from extractors.registry import build_extractor
for name, config, contents in json.loads(sys.argv[1]):
    content = contents[0]
    extractor = build_extractor(name, config, Runtime())
    extractor.prepare(contents)
    vector = extractor.encode([extractor.load(content)])
    print(hashlib.sha256(vector.tobytes()).hexdigest())
print([module for module in ("torch", "transformers", "open_clip") if module in sys.modules])
"""
    expected, work = [], []
    for name in WEIGHT_FREE:
        extractor = build(name)
        contents = fitting(extractor, samples)
        extractor.prepare(contents)
        content = contents[0]
        expected.append(hashlib.sha256(vectors_of(extractor, [content]).tobytes()).hexdigest())
        sent = [str(it) if isinstance(it, Path) else it for it in contents]
        work.append((name, required(name), sent))
    printed = subprocess.run(
        [sys.executable, "-c", script, json.dumps(work)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)},
    )
    assert printed.stdout.split("\n")[:-1] == [*expected, "[]"]
