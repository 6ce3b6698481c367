"""Copies of a store that is being written to are whole stores; they replace older copies."""

import os
import signal
from pathlib import Path

import plain_store
import pytest
import store_writer
from store_items import SPACE, digest, reason, vector, vectors
from test_feature_store_processes import start_writer

from storage.errors import StoreError
from storage.features.backup import copy_store
from storage.features.environment import Environment
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, feature_spaces, space_folder
from storage.features.verification import verify_store

NUM_ITEMS = 2000
BATCH = 20


def expected(num_items: int) -> dict[bytes, bytes | str]:
    return {
        digest(item): reason(item) if store_writer.fails(item) else vector(item).tobytes()
        for item in range(num_items)
    }


def test_copied_while_a_run_writes(tmp_path: Path) -> None:
    root, target = tmp_path / "store", tmp_path / "copy"
    full, sizes = expected(NUM_ITEMS), []
    with start_writer(root, 0, NUM_ITEMS, BATCH) as writer:
        while writer.poll() is None:
            before = len(plain_store.contents(space_folder(root, SPACE)))
            (copied,) = copy_store(root, target)
            assert verify_store(copied) == []
            found = plain_store.contents(copied)
            assert found.items() <= full.items()
            assert len(found) % BATCH == 0
            assert len(found) >= before
            sizes.append(len(found))
    assert any(0 < size < NUM_ITEMS for size in sizes)
    copy_store(root, target)
    assert plain_store.contents(space_folder(target, SPACE)) == full


def test_a_copy_is_a_store_without_free_pages(tmp_path: Path) -> None:
    other = FeatureSpace("text_test", {}, dim=8, dtype="float32")
    with FeatureStore.open(tmp_path / "store", SPACE) as store:
        for start in range(0, 1000, 10):
            store.write(vectors(range(start, start + 10)), {})
    with FeatureStore.open(tmp_path / "store", other) as store:
        store.write(vectors([1], other), {})
    copied = copy_store(tmp_path / "store", tmp_path / "copy")
    assert copied == feature_spaces(tmp_path / "copy")
    assert len(copied) == 2
    with FeatureStore.open(tmp_path / "copy", SPACE) as store:
        assert store.statistics().dead_bytes == 0
        store.write(vectors([2000]), {})  # it can be gone on with


def test_killed_while_it_replaces_an_older_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeatureStore.open(tmp_path / "store", SPACE) as store:
        store.write(vectors(range(100)), {})
        copy_store(tmp_path / "store", tmp_path / "copy")
        store.write(vectors(range(100, 200)), {})
    copy = Environment.copy

    def die(environment: Environment, path: Path) -> None:
        copy(environment, path)
        os.truncate(path, 2**16)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Environment, "copy", die)
    child = os.fork()
    if not child:
        copy_store(tmp_path / "store", tmp_path / "copy")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    monkeypatch.undo()
    directory = space_folder(tmp_path / "copy", SPACE)
    assert verify_store(directory) == []
    assert len(plain_store.contents(directory)) == 100
    copy_store(tmp_path / "store", tmp_path / "copy")
    assert len(plain_store.contents(directory)) == 200


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found no feature space"):
        copy_store(tmp_path, tmp_path / "copy")
    with FeatureStore.open(tmp_path / "store", SPACE) as store:
        store.write(vectors([1]), {})
    with pytest.raises(StoreError, match="found the store itself"):
        copy_store(tmp_path / "store", tmp_path / "copy" / ".." / "store")
    with (
        FeatureStore.open(tmp_path / "copy", SPACE),
        pytest.raises(StoreError, match="a run that is writing to it"),
    ):
        copy_store(tmp_path / "store", tmp_path / "copy")
