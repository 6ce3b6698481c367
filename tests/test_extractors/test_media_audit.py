"""What an audit finds wrong with media, beside what an extraction fails on."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_files import sine, write_clip
from PIL import Image

from extractors.base import Runtime
from extractors.extraction import extract_modality
from extractors.inspection import media_audit
from extractors.inspection.media_audit import MediaAudit, audit_media
from extractors.inspection.recognition import is_recognised
from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan
from extractors.registry import build_extractor
from storage.datasets.dataset import Dataset, read_dataset

LENIENT = ExtractOptions(num_workers=1, max_failure_rate=1)


def dataset_of(root: Path, *entities: Mapping[str, object]) -> Dataset:
    """Write a dataset whose first entity alone stands in a triple."""
    lines = "".join(json.dumps(entity) + "\n" for entity in entities)
    (root / "entities.jsonl").write_text(lines)
    for split in ("train", "valid", "test"):
        (root / f"{split}.tsv").write_text(f"{entities[0]['id']}\tis\t{entities[0]['id']}\n")
    return read_dataset(root)


def failing(found: MediaAudit, field: str) -> dict[str, str]:
    """Return the reason of every item that would fail, by path."""
    return {path: it.reason for it in found.fields[field].problems for _, path in it.first}


FRAMES = [np.full((64, 64, 3), shade, dtype=np.uint8) for shade in (0, 128, 255)]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    '<rect width="5" height="5" fill="red"/></svg>'
)
WRITERS: dict[str, dict[str, Callable[[Path], object]]] = {
    "image": {
        "good.png": lambda it: Image.new("RGB", (9, 9)).save(it),
        "good.jpg": lambda it: Image.new("RGB", (9, 9)).save(it),
        "good.tga": lambda it: Image.new("RGB", (9, 9)).save(it),
        "good-webp-named.png": lambda it: Image.new("RGB", (9, 9)).save(it, "WEBP"),
        "good.svg": lambda it: it.write_text(SVG),
        "letter.png": lambda it: it.write_text("Dear reader"),
        "page.pdf": lambda it: it.write_bytes(b"%PDF-1.7\n"),
        "sound.png": lambda it: soundfile.write(it, sine(440, 0.1, 8000), 8000, format="WAV"),
        "empty.png": Path.touch,
        "short.png": lambda it: it.write_text("\n"),
        "fifo.png": os.mkfifo,
        "folder.png": Path.mkdir,
        "out.png": lambda it: it.symlink_to("/etc/hostname"),
        "gone.png": lambda it: None,
    },
    "audio": {
        "good.wav": lambda it: soundfile.write(it, sine(440, 0.1, 8000), 8000),
        "good.flac": lambda it: soundfile.write(it, sine(440, 0.1, 8000), 8000),
        "good.ogg": lambda it: soundfile.write(it, sine(440, 0.1, 8000), 8000),
        "good.rf64": lambda it: soundfile.write(it, sine(440, 0.1, 8000), 8000, format="RF64"),
        "midi.wav": lambda it: it.write_bytes(b"MThd\0\0\0\6\0\1\0\1\0\x60"),
        "list.m3u": lambda it: it.write_text("#EXTM3U\nfile:///etc/hostname\n"),
        "picture.wav": lambda it: Image.new("RGB", (9, 9)).save(it, "PNG"),
    },
    "video": {
        "good.mp4": lambda it: write_clip(it, FRAMES),
        "good.mkv": lambda it: write_clip(it, FRAMES),
        "good.ts": lambda it: write_clip(it, FRAMES),
        "random.mp4": lambda it: it.write_bytes(bytes(range(256))),
        "letter.mp4": lambda it: it.write_text("Dear reader"),
        "picture.mp4": lambda it: Image.new("RGB", (9, 9)).save(it, "BMP"),
    },
}
EXTRACTORS = {"image": "image_stats", "audio": "audio_mel", "video": "video_stats"}


@pytest.mark.parametrize("modality", WRITERS)
def test_it_finds_what_extraction_fails_on(tmp_path: Path, modality: str) -> None:
    for name, write in WRITERS[modality].items():
        write(tmp_path / name)
    dataset = dataset_of(tmp_path, {"id": "a", modality: list(WRITERS[modality])})
    plan = ModalityPlan(modality, build_extractor(EXTRACTORS[modality], {}, Runtime()), (modality,))
    extraction = extract_modality(dataset, plan, tmp_path / "store", LENIENT)
    failed = {it.item for it in extraction.failures}
    assert failed == {name for name in WRITERS[modality] if "good" not in name}

    found = audit_media(dataset)
    assert {path for it in found.fields[modality].problems for _, path in it.first} <= failed
    assert found.fields[modality].failing == len(failed)


def test_every_problem_is_counted_by_its_reason(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    gone = [f"gone{number}.png" for number in range(7)]
    found = audit_media(
        dataset_of(
            tmp_path,
            {"id": "a", "image": ["a.png", "a.png", *gone]},
            {"id": "b", "image": "a.png"},
            {"id": "c", "image": []},
            {"id": "d", "text": "Nothing to see."},
        )
    )
    (field,) = found.fields.values()
    assert (field.entities, field.items, field.files) == (2, 10, 8)
    assert (field.twice, field.shared, field.failing) == (1, 1, 7)
    (problem,) = field.problems
    assert (problem.reason, problem.items) == ("absent", 7)
    assert problem.first == tuple(("a", name) for name in gone[:5])
    assert found.without_facts == ("b", "c", "d")
    assert found.without_media == ("c", "d")
    assert json.loads(json.dumps(found.to_dict()))["fields"]["image"]["failing"] == 7


class TestFields:
    FIELDS: Mapping[str, object] = {
        "photos": ["a/b.jpeg", "c d.png"],
        "clip": "x.mp4",
        "text": "He came. She left.",
        "page": "https://example.org/a.png",
        "version": "1.25",
        "height": 3,
        "numeric": {"x.png": 1},
        "lines": "a.png\nb.png",
        "image": None,
    }

    def test_those_whose_values_look_like_paths(self, tmp_path: Path) -> None:
        dataset = dataset_of(tmp_path, {"id": "a", **self.FIELDS})
        assert set(audit_media(dataset).fields) == {"photos", "clip", "image"}

    def test_any_medium_is_good_in_a_field_of_another_name(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", sine(440, 0.1, 8000), 8000)
        Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
        (tmp_path / "c.txt").write_text("Dear reader")
        dataset = dataset_of(tmp_path, {"id": "a", "files": ["a.wav", "b.png", "c.txt"]})
        assert set(failing(audit_media(dataset), "files")) == {"c.txt"}
        assert set(failing(audit_media(dataset, {"files": {"image"}}), "files")) == {
            "a.wav",
            "c.txt",
        }
        assert not failing(audit_media(dataset, {"files": {"molecule"}}), "files")


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_no_beginning_of_a_text_is_a_medium(kind: str) -> None:
    for head in (b"", b"<svg xmlns='http://www.w3.org/2000/svg'>", b"%PDF-1.7", b"{}", b"PK\3\4"):
        assert not is_recognised(kind, head)  # type: ignore[arg-type]


def test_no_reader_starts_where_the_beginnings_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_audit, "why_unread", lambda *_: pytest.fail("read"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    dataset = dataset_of(tmp_path, {"id": "a", "image": ["a.png"]})
    assert audit_media(dataset).fields["image"].failing == 0
