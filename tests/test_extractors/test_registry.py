"""Extractors are found by their files' names, and refuse what they do not know."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from extractors import registry
from extractors.base import Extractor, ExtractorConfig, Runtime
from extractors.registry import (
    ExtractorChoiceError,
    build_extractor,
    load_extractor_class,
    names,
)

EXPECTED = {
    *("text_hash", "image_stats", "audio_mel", "video_stats", "numeric", "imported"),
    *("text_bert", "image_clip", "audio_wav2vec2", "audio_clap", "video_videomae"),
}


def test_all_extractors_of_the_design_are_found() -> None:
    assert set(names()) >= EXPECTED
    assert names() == sorted(names())


def test_listing_the_names_imports_no_extractor() -> None:
    script = (
        "import sys; from extractors.registry import names; names(); "
        "print([m for m in sys.modules if m.startswith(('torch', 'PIL', 'av', 'extractors.text'))])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert printed.stdout.strip() == b"[]"


@pytest.mark.parametrize("name", names())
class TestEveryExtractor:
    def test_says_what_it_is(self, name: str) -> None:
        found = load_extractor_class(name)
        assert issubclass(found, Extractor)
        assert found.name == name
        assert name.startswith(found.modality)
        assert found.item_kind in ("file", "text", "numbers")
        assert found.version >= 1
        assert issubclass(found.Config, ExtractorConfig)
        assert found.Config.model_config["extra"] == "forbid"
        assert found.Config.model_config["frozen"]

    def test_every_config_field_is_described(self, name: str) -> None:
        for field, info in load_extractor_class(name).Config.model_fields.items():
            described = info.description or any(
                getattr(part, "description", None) for part in info.metadata
            )
            assert described, field


def test_importing_extractors_imports_no_media_or_backbone_library() -> None:
    """A config is checked by them, which must not take seconds."""
    script = """
import sys
from extractors.registry import load_extractor_class, names
heavy = ("torch", "transformers", "open_clip", "decord", "PIL", "av", "soundfile", "prefect")
for name in names():
    load_extractor_class(name)
    print(name, [module for module in heavy if module in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert printed.stdout.decode().splitlines() == [f"{name} []" for name in names()]


def test_an_unknown_extractor_is_refused_with_the_closest_name() -> None:
    with pytest.raises(ExtractorChoiceError, match=r"'image_stat'.*mean 'image_stats'.*allowed"):
        load_extractor_class("image_stat")


def test_an_engine_module_is_no_extractor() -> None:
    with pytest.raises(ExtractorChoiceError, match="found 'registry'"):
        load_extractor_class("registry")


def test_an_unknown_key_is_refused_with_the_closest_key() -> None:
    with pytest.raises(ExtractorChoiceError, match=r"'max_second'.*mean 'max_seconds'.*num_mels"):
        build_extractor("audio_mel", {"max_second": 3}, Runtime())


def test_a_bad_value_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ExtractorChoiceError, match=r"'dim': found 3; allowed: .*greater than"):
        build_extractor("text_hash", {"dim": 3}, Runtime())


def test_config_and_runtime_reach_the_extractor() -> None:
    runtime = Runtime(device="cpu", offline=True)
    extractor = build_extractor("text_hash", {"dim": 64}, runtime)
    assert extractor.dim == 64
    assert extractor.runtime is runtime


EXTRACTOR = """
from extractors.base import Extractor, ExtractorConfig

class First(Extractor):
    name = "{name}"
    Config = ExtractorConfig
"""


@pytest.mark.parametrize(
    "source", ["", EXTRACTOR.format(name="other_name"), EXTRACTOR.format(name="scratch_two") * 2],
    ids=["none", "another name", "two"],
)  # fmt: skip
def test_a_module_without_one_extractor_of_its_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "scratch_two.py").write_text(source.replace("First", "Second", 1))
    monkeypatch.setattr(registry, "_FOLDER", tmp_path)
    monkeypatch.setattr(importlib.import_module("extractors"), "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "extractors.scratch_two", raising=False)
    with pytest.raises(TypeError, match="must define one Extractor subclass, named 'scratch_two'"):
        load_extractor_class("scratch_two")
