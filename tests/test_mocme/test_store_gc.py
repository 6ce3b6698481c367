"""`store gc`: what no config refers to goes, and nothing else, whatever happens meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import mocme, settings

from storage.errors import StoreError
from storage.features.environment import Environment
from storage.features.garbage import Garbage, collect_garbage
from storage.features.lock import deleting
from storage.features.shards import shard_folder, shard_spaces
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, feature_spaces
from storage.features.verification import verify_store


def gc(project: Path, *options: object) -> list[dict[str, Any]]:
    command = mocme("store", "gc", project / "mocme.yaml", "--json", *options)
    assert command.exit_code == 0, command.stderr
    found: list[dict[str, Any]] = command.json["garbage"]
    return found


def all_cached(project: Path, *pairs: str) -> bool:
    told = mocme("extract", project / "mocme.yaml", "--dry-run", "--json", *settings(*pairs)).json
    return not any(found["contents"] for found in told["dry_run"].values())


def remove_entity_text(project: Path) -> None:
    """Change one entity's text, so that the old one is referred to by nobody."""
    path = project / "entities.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), "text": "anew"}), *rest]) + "\n")


@pytest.fixture(scope="module")
def first_clutter(first_extraction: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose store holds a second space of texts, and a text that nobody has now."""
    project = tmp_path_factory.mktemp("clutter") / "first"
    shutil.copytree(first_extraction, project, symlinks=True)
    config = project / "mocme.yaml"
    mocme("extract", config, *settings("modalities.text.dim=64"))
    remove_entity_text(project)
    mocme("extract", config)
    return project


@pytest.fixture
def cluttered(first_clutter: Path, tmp_path: Path) -> Path:
    """A copy, in another place, of the cluttered project."""
    return Path(shutil.copytree(first_clutter, tmp_path / "cluttered", symlinks=True))


def test_what_is_used_stays(extracted: Path) -> None:
    before = {path: path.read_bytes() for path in extracted.rglob("data.mdb")}
    # a file that is absent says nothing of its vector: nothing of its space may go
    assert gc(extracted) == []
    assert {path: path.read_bytes() for path in extracted.rglob("data.mdb")} == before


def test_an_unused_space_and_an_unused_vector_go(cluttered: Path) -> None:
    store = cluttered / "data/features"
    told = gc(cluttered, "--dry-run")
    assert len(feature_spaces(store)) == 6
    assert [(Path(it["space"]).parent.name, it["whole"], it["num_vectors"]) for it in told] in (
        [("text_hash", True, 170), ("text_hash", False, 1)],
        [("text_hash", False, 1), ("text_hash", True, 170)],
    )
    assert gc(cluttered) == told
    assert gc(cluttered) == []
    assert len(feature_spaces(store)) == 5
    assert not list(store.glob(".garbage*"))
    for space in feature_spaces(store):
        assert verify_store(space) == []
    assert all_cached(cluttered)
    assert not all_cached(cluttered, "modalities.text.dim=64")


def test_another_configs_features_stay(cluttered: Path) -> None:
    other = cluttered / "other.yaml"
    small = {
        "dataset": ".",
        "store": "data/features",
        "modalities": {"text": {"extractor": "text_hash", "dim": 64, "field": ["name", "text"]}},
    }
    other.write_text(json.dumps(small))
    found = gc(cluttered, other)
    assert not any(it["whole"] for it in found)
    assert len(feature_spaces(cluttered / "data/features")) == 6


def test_features_of_files_that_are_out_of_reach_stay(extracted: Path) -> None:
    """A disk that is not mounted must not cost a day of extraction."""
    shutil.move(extracted / "media", extracted / "away")
    assert gc(extracted) == []
    shutil.move(extracted / "away", extracted / "media")
    assert all_cached(extracted)


def test_failures_of_what_nobody_lists_are_forgotten(extracted: Path) -> None:
    path = extracted / "entities.jsonl"
    entities = [json.loads(line) for line in path.read_text().splitlines()]
    for entity in entities:
        entity.pop("audio", None)
    entities[0]["audio"] = []
    path.write_text("".join(json.dumps(entity) + "\n" for entity in entities))
    [found] = gc(extracted)
    assert found["num_failures"] == 1
    with FeatureStore.open_readonly(Path(found["space"])) as store:
        assert store.failures() == {}
        assert store.statistics().num_rows == 0


def test_a_dataset_that_is_gone_deletes_nothing(cluttered: Path) -> None:
    (cluttered / "train.tsv").unlink()
    assert mocme("store", "gc", cluttered / "mocme.yaml").exit_code == 2
    assert len(feature_spaces(cluttered / "data/features")) == 6


def test_configs_of_several_stores_are_refused(cluttered: Path) -> None:
    (cluttered / "other.yaml").write_text("dataset: .\nstore: elsewhere\n")
    command = mocme("store", "gc", cluttered / "mocme.yaml", cluttered / "other.yaml")
    assert command.exit_code == 2
    assert "allowed: configs of one store" in command.stderr


def test_a_running_writer_keeps_all_and_a_killed_one_nothing(cluttered: Path) -> None:
    store = cluttered / "data/features"
    program = (
        "import sys; from pathlib import Path; from storage.features.space import FeatureSpace\n"
        "from storage.features.store import FeatureStore\n"
        "with FeatureStore.open(Path(sys.argv[1]), FeatureSpace('new', {}, 4, 'float16')):\n"
        "    print('open', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, str(store)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        refused = mocme("store", "gc", cluttered / "mocme.yaml")
        assert refused.exit_code == 2
        assert "found a run that is writing to it" in refused.stderr
        assert gc(cluttered, "--dry-run")
        os.kill(writer.pid, signal.SIGKILL)
    assert len(gc(cluttered)) == 3


def test_a_store_may_not_be_collected_twice_at_once(cluttered: Path) -> None:
    store = cluttered / "data/features"
    with deleting(store), pytest.raises(StoreError, match="is writing to it"), deleting(store):
        pass


@pytest.mark.parametrize(("module", "name"), [(os, "unlink"), (Environment, "write")])
def test_a_stop_in_the_middle_leaves_a_valid_store(
    cluttered: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    store = cluttered / "data/features"

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, stop)
        with pytest.raises(KeyboardInterrupt):
            _collect_from(store, cluttered)
    for space in feature_spaces(store):
        assert verify_store(space) == []
    assert all_cached(cluttered)
    gc(cluttered)
    assert not list(store.glob(".garbage*"))
    assert gc(cluttered) == []


def _collect_from(store: Path, project: Path) -> list[Garbage]:
    from flows.configs.pipeline_config import load_config
    from mocme.garbage import _used

    return collect_garbage(store, _used([load_config(project / "mocme.yaml")]))


def test_kept_vectors_are_the_same_bits_wherever_they_stood(tmp_path: Path) -> None:
    space = FeatureSpace("image_test", {}, dim=512, dtype="float16")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((700, 512)).astype(np.float16)
    digests = [bytes([*number.to_bytes(4, "big"), *([7] * 28)]) for number in range(700)]
    with FeatureStore.open(tmp_path, space) as store:
        store.write(dict(zip(digests, rows, strict=True)), {})
        directory = store.directory
    kept = [*range(0, 300, 3), *range(650, 700)]  # the second of three blocks loses all
    found = collect_garbage(tmp_path, {directory: {digests[item] for item in kept}})
    assert [(it.is_whole, it.num_vectors) for it in found] == [(False, 700 - len(kept))]
    assert verify_store(directory) == []
    with FeatureStore.open(tmp_path, space) as store:
        np.testing.assert_array_equal(store.read([digests[item] for item in kept]), rows[kept])
        assert store.lookup(digests).count("stored") == len(kept)
        store.write(dict(zip(digests, rows, strict=True)), {})
        np.testing.assert_array_equal(store.read(digests), rows)
        assert store.verify() == []


def test_what_may_not_go_is_named(cluttered: Path) -> None:
    store = cluttered / "data/features"
    [unused] = (found["space"] for found in gc(cluttered, "--dry-run") if found["whole"])
    data = Path(unused) / "data.mdb"
    data.write_bytes(data.read_bytes()[:9000])
    for options in (["--dry-run"], []):
        command = mocme("store", "gc", cluttered / "mocme.yaml", "--json", *options)
        assert command.exit_code == 1
        assert list(command.json["left"]) == [unused]
        assert not any(found["whole"] for found in command.json["garbage"])
        assert f"left as it is: {unused}: found damaged pages" in command.stderr
    assert data.stat().st_size == 9000
    assert len(feature_spaces(store)) == 6


def test_the_table_says_what_goes(cluttered: Path) -> None:
    shown = mocme("store", "gc", cluttered / "mocme.yaml", "--dry-run").stdout
    assert "Would be deleted" in shown
    assert "all of it" in shown
    assert "some vectors" in shown
    assert "Deleted" in mocme("store", "gc", cluttered / "mocme.yaml").stdout
    assert "nothing: " in mocme("store", "gc", cluttered / "mocme.yaml").stdout


def test_a_shard_goes_with_its_space_and_else_waits_for_the_next_extraction(
    cluttered: Path,
) -> None:
    store = cluttered / "data/features"
    texts = [space for space in feature_spaces(store) if space.parent.name == "text_hash"]
    for number, space in enumerate(texts):
        shutil.copytree(space, shard_folder(store, f"{number}") / "text_hash" / space.name)
    (unused,) = (
        found["space"] for found in gc(cluttered, "--dry-run") if ".shards" in found["space"]
    )
    assert len(shard_spaces(store)) == 2
    assert unused in {found["space"] for found in gc(cluttered)}
    assert len(shard_spaces(store)) == 1
    mocme("extract", cluttered / "mocme.yaml")
    assert shard_spaces(store) == []
