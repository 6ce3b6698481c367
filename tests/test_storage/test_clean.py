"""The clean variant: what goes, what stays, and that it reads back as written."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.datasets.audit import audit
from storage.datasets.clean import clean_splits, write_clean
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import Graph, Split
from storage.errors import DatasetError

ENTITIES = tuple("abcdef")


def _graph(*splits: list[tuple[int, int, int]]) -> Graph:
    arrays = (np.array(split, dtype=np.int64).reshape(-1, 3) for split in splits)
    return Graph(ENTITIES, ENTITIES, ("r", "s"), *arrays)


def _triples(graph: Graph, split: Split) -> list[tuple[int, ...]]:
    return [tuple(row) for row in graph.split(split).tolist()]


def test_train_keeps_all_test_loses_train_valid_loses_both() -> None:
    shared, own_valid, own_test = (1, 1, 0), (1, 0, 0), (0, 1, 1)
    clean = clean_splits(
        _graph(
            [(0, 0, 1), (1, 0, 2), (0, 0, 1)],
            [(0, 0, 1), shared, own_valid, own_valid],
            [shared, (1, 0, 2), own_test, shared],
        )
    )
    assert _triples(clean, "train") == [(0, 0, 1), (1, 0, 2)]
    assert _triples(clean, "valid") == [own_valid]
    assert _triples(clean, "test") == [shared, own_test]


def test_unusable_valid_is_carved_out_of_train() -> None:
    train = [(h, r, t) for h in range(5) for r in range(2) for t in range(5)]
    spared = (5, 0, 5)  # the only triple of its entity
    test = [(5, 1, 0)]
    published = _graph([spared, *train], train[:10], test)
    clean = clean_splits(published)
    assert len(clean.valid) == 5  # a tenth of train, for the published 10 are more
    assert set(_triples(clean, "valid")) <= set(train)
    assert set(_triples(clean, "valid")) | set(_triples(clean, "train")) == {spared, *train}
    assert spared in _triples(clean, "train")
    reordered = clean_splits(_graph([*train[::-1], spared], train[:10], test))
    assert set(_triples(reordered, "valid")) == set(_triples(clean, "valid"))


def test_clean_triples_of_an_unusable_valid_stay() -> None:
    train = [(h, r, t) for h in range(5) for r in range(2) for t in range(5)]
    own = (5, 1, 1)
    clean = clean_splits(_graph([*train, (5, 0, 5)], [*train[:3], own], [(5, 1, 0)]))
    assert _triples(clean, "valid")[0] == own
    assert len(clean.valid) == 4


triples = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=60
)


@given(triples, triples, triples)
@settings(max_examples=80, deadline=None)
def test_clean_properties(
    train: list[tuple[int, int, int]],
    valid: list[tuple[int, int, int]],
    test: list[tuple[int, int, int]],
) -> None:
    published = _graph(train, valid, test)
    clean = clean_splits(published)
    assert audit(clean).is_clean
    np.testing.assert_array_equal(clean.seen_in_training, published.seen_in_training)
    assert set(clean.train[:, 1]) == set(published.train[:, 1])
    assert set(_triples(clean, "test")) == set(test) - set(train)
    assert set(valid) - set(train) - set(test) <= set(_triples(clean, "valid"))
    assert clean_splits(clean).digest == clean.digest


@pytest.fixture
def leaking(folder: Path) -> Path:
    """The good dataset folder with leaks, a picture, and two listed files not to be taken."""
    (folder / "media").mkdir()
    (folder / "media" / "cat.png").write_bytes(b"a picture")
    (folder.parent / "outside.png").write_bytes(b"secret")
    (folder / "outside.png").symlink_to(folder.parent / "outside.png")
    listed = ["media/cat.png", "outside.png", "absent.png", "clean.json", "media", "x" * 5000]
    with (folder / "entities.jsonl").open("a") as file:
        file.write(
            json.dumps({"id": "cow", "image": listed, "text": "../dataset/media/cat.png"}) + "\n"
        )
    (folder / "clean.json").write_text("an original")
    with (folder / "train.tsv").open("a") as file:
        file.write("cat\tchases\tdog\ncow\teats\tcow\n")
    with (folder / "test.tsv").open("a") as file:
        file.write("cat\tchases\tdog\ndog\tbites\tcat\n")
    return folder


def test_dataset_folder_round_trip(leaking: Path, tmp_path: Path) -> None:
    dataset = read_dataset(leaking)
    out_dir = tmp_path / "new" / "clean"
    graph = write_clean(dataset, out_dir)
    again = read_dataset(out_dir)
    assert again.graph.digest == graph.digest == clean_splits(dataset.graph).digest
    assert again.entities == dataset.entities
    assert audit(again.graph).is_clean
    counts = json.loads((out_dir / "clean.json").read_text())
    assert counts["before"]["splits"]["train"]["duplicates"] == 1
    assert counts["before"]["leaks"]["test_in_train"]["lines"] == 1
    assert counts["after"]["is_clean"] is True


def test_media_stay_reachable_and_inside(leaking: Path, tmp_path: Path) -> None:
    out_dir = tmp_path / "new" / "clean"
    write_clean(read_dataset(leaking), out_dir)
    assert (out_dir / "media" / "cat.png").samefile(leaking / "media" / "cat.png")
    assert not (out_dir / "outside.png").exists()
    assert [path.name for path in out_dir.parent.iterdir()] == ["clean"]
    assert (leaking / "clean.json").read_text() == "an original"
    assert sorted(path.name for path in out_dir.iterdir()) == [
        "clean.json",
        "entities.jsonl",
        "media",
        "test.tsv",
        "train.tsv",
        "valid.tsv",
    ]


def test_media_are_copied_where_links_cannot_be(
    leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    write_clean(read_dataset(leaking), tmp_path / "clean")
    copy = tmp_path / "clean" / "media" / "cat.png"
    assert copy.read_bytes() == b"a picture"
    assert not copy.samefile(leaking / "media" / "cat.png")


def test_a_full_disk_is_told(
    leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(DatasetError, match="clean: found No space left on device; allowed: a pla"):
        write_clean(read_dataset(leaking), tmp_path / "clean")


def test_openke_round_trip(openke_folder: Path, tmp_path: Path) -> None:
    (openke_folder / "test2id.txt").write_text("3\n1 0 1\n0 1 0\n1 0 1\n")
    dataset = read_dataset(openke_folder)
    out_dir = tmp_path / "clean"
    graph = write_clean(dataset, out_dir)
    assert read_dataset(out_dir).graph.digest == graph.digest
    assert (out_dir / "test2id.txt").read_text() == "1\n1 0 1\n"
    assert (out_dir / "train2id.txt").read_text() == "3\n0 1 0\n1 2 1\n2 0 1\n"


@pytest.mark.parametrize("content", ["a folder that is not empty", "a file"])
def test_what_is_there_is_never_overwritten(folder: Path, tmp_path: Path, content: str) -> None:
    out_dir = tmp_path / "clean"
    if content == "a file":
        out_dir.write_text("mine")
    else:
        out_dir.mkdir()
        (out_dir / "mine").write_text("mine")
    with pytest.raises(DatasetError) as caught:
        write_clean(read_dataset(folder), out_dir)
    assert str(caught.value) == f"{out_dir}: found {content}; allowed: a new or empty folder"
    assert len(list(tmp_path.rglob("mine"))) == (content != "a file")


def test_a_link_to_nothing_is_no_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(DatasetError, match="link: found File exists"):
        write_clean(read_dataset(folder), tmp_path / "link")
    assert not (tmp_path / "absent").exists()


def test_a_test_split_that_leaks_whole_cannot_be_cleaned(folder: Path, tmp_path: Path) -> None:
    (folder / "test.tsv").write_text("cat\tchases\tdog\n")
    with pytest.raises(DatasetError, match="no test triple that stands in no other split"):
        write_clean(read_dataset(folder), tmp_path / "clean")
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("DB15K", (71814, 7481, 9902)),
        ("MKG-W", (34196, 4276, 4274)),
        ("MKG-Y", (21310, 2665, 2663)),
        ("KVC16K", (180019, 22485, 22475)),
        ("TIVA", (11521, 217, 242)),  # a forest: train can spare no more
    ],
)
def test_published_graphs(
    benchmarks: Path, tmp_path: Path, name: str, lines: tuple[int, ...]
) -> None:
    dataset = read_dataset(benchmarks / name)
    graph = write_clean(dataset, tmp_path / name)
    assert (len(graph.train), len(graph.valid), len(graph.test)) == lines
    assert read_dataset(tmp_path / name).graph.digest == graph.digest
    after = audit(graph)
    assert after.is_clean
    assert after.valid_is_usable
    np.testing.assert_array_equal(graph.seen_in_training, dataset.graph.seen_in_training)
