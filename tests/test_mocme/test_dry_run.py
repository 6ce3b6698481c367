"""`extract --dry-run`: what it counts, why it says a space is new, and that it leaves no trace."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from small_runs import Command, mocme, run_and_look_at_imports, settings

from extractors.sample import write_sample
from extractors.weights import WeightsNotHereError
from mocme.dry_run import NO_WEIGHTS, why_new
from storage.datasets.dataset import read_dataset
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore


def dry(project: Path, *pairs: str) -> dict[str, Any]:
    command = mocme("extract", project / "mocme.yaml", "--dry-run", "--json", *settings(*pairs))
    assert command.exit_code == 0, command.stderr
    found: dict[str, Any] = command.json["dry_run"]
    return found


def traces(folder: Path) -> dict[str, str]:
    """Digest every file but LMDB's lock files, which hold who reads now."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock.mdb"
    }


def test_before_the_first_run_everything_is_new_and_nothing_is_made(tmp_path: Path) -> None:
    write_sample(tmp_path / "s", num_things=60)
    before = traces(tmp_path)
    found = dry(tmp_path / "s")
    assert traces(tmp_path) == before
    assert not (tmp_path / "s/data").exists()
    for name, modality in found.items():
        assert modality["new"] > 0, name
        assert modality["cached"] == 0
        assert modality["why"].startswith("no features of ")
        assert modality["why"].endswith(" here yet")


def test_it_foretells_the_run_that_follows(extracted: Path) -> None:
    entity = next(e for e in read_dataset(extracted).entities if e.fields.get("image"))
    picture = extracted / str(entity.fields["image"][0])  # type: ignore[index]
    picture.write_bytes(b"no picture any more")
    before = traces(extracted)
    told = dry(extracted)
    assert traces(extracted) == before
    assert {name for name, found in told.items() if found["contents"]} == {"image"}
    assert all(found["why"] is None for found in told.values())
    assert sum(found["failed"] for found in told.values()) > 0

    run = mocme("extract", extracted / "mocme.yaml", "--json")
    done = run.json["extracted"]
    for name, found in told.items():
        assert found["cached"] == done[name]["cached"]
        assert found["missing"] == done[name]["missing"]
        assert found["new"] + found["failed"] == done[name]["new"] + done[name]["failed"]
    assert dry(extracted)["image"]["new"] == 0
    assert dry(extracted)["image"]["failed"] == done["image"]["failed"]


def test_what_has_failed_counts_as_new_if_it_is_to_be_tried_again(extracted: Path) -> None:
    told = dry(extracted)
    again = dry(extracted, "extract.retry_failed=true")
    config = extracted / "mocme.yaml"
    assert mocme("extract", config, "--dry-run", "--retry-failed", "--json").json == {
        "dry_run": again
    }
    for name, found in again.items():
        assert found["new"] + found["failed"] == told[name]["failed"]
        assert found["cached"] == told[name]["cached"]
    assert told["image"]["failed"] == 3
    assert again["image"]["failed"] == 1  # a file that is absent is tried again by itself


def test_it_names_the_part_of_the_fingerprint_that_changed(extracted: Path) -> None:
    found = dry(extracted, "modalities.text.dim=2048", "extract.dtype=float32")
    assert found["text"]["why"] == 'dim 1024 -> 2048, dtype "float16" -> "float32"'
    assert found["text"]["cached"] == 0
    assert found["image"]["why"] == 'dtype "float16" -> "float32"'
    assert found["numeric"]["why"] is None  # whose dtype is its own


def test_a_new_version_of_the_code_is_a_reason(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extractors.text_hash import TextHash

    monkeypatch.setattr(TextHash, "version", TextHash.version + 1)
    assert dry(extracted)["text"]["why"] == f"version {TextHash.version - 1} -> {TextHash.version}"


def space(**parts: Any) -> FeatureSpace:
    return FeatureSpace("text_bert", {"version": 1, **parts}, dim=4, dtype="float16")


def test_the_most_similar_space_is_compared_to(tmp_path: Path) -> None:
    for old in (
        space(weights="sha256:" + "a" * 64, max_length=64),
        space(weights="sha256:" + "b" * 64, max_length=64, pooling="cls"),
    ):
        FeatureStore.open(tmp_path, old).close()
    FeatureStore.open(tmp_path, FeatureSpace("text_hash", {}, 4, "float16")).close()
    new = space(weights="sha256:" + "a" * 64, max_length=128)
    assert why_new(tmp_path, new) == "max_length 64 -> 128"
    other_weights = space(weights="sha256:" + "c" * 64, max_length=64)
    assert why_new(tmp_path, other_weights) == "weights changed"
    assert why_new(tmp_path, None) == NO_WEIGHTS


def test_weights_that_a_run_would_download_are_not(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts stand without them; but a run that may not download them would fail."""
    from extractors.text_hash import TextHash

    def refuse(*_: object) -> None:
        raise WeightsNotHereError("not in the local cache")

    monkeypatch.setattr(TextHash, "fingerprint_parts", refuse)
    text = dry(extracted)["text"]
    assert text["why"] == NO_WEIGHTS
    assert text["cached"] == 0
    assert text["new"] > 0
    refused = mocme(
        "extract", extracted / "mocme.yaml", "--dry-run", "--set", "extract.offline=true"
    )
    assert refused.exit_code == 2


def test_the_table_says_why(extracted: Path) -> None:
    command = mocme(
        "extract", extracted / "mocme.yaml", "--dry-run", "--set", "modalities.text.dim=2048"
    )
    assert "dim 1024 -> 2048" in command.stdout
    assert "nothing was written" in command.stdout


def test_neither_prefect_nor_torch_is_imported(extracted: Path) -> None:
    words = ["extract", extracted / "mocme.yaml", "--dry-run", "--json"]
    result, imported = run_and_look_at_imports(*words)
    assert imported == []
    assert set(result) == {"dry_run"}


@pytest.mark.parametrize("option", ["--dry-run", "--retry-failed"])
def test_bad_input_exits_with_2(tmp_path: Path, option: str) -> None:
    command: Command = mocme("extract", tmp_path / "none.yaml", option)
    assert command.exit_code == 2
    assert command.stderr.startswith("error: ")
