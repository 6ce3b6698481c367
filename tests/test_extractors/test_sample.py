"""The sample graph as files: readable, repeatable, clean, and broken only where it says so."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from extractors.sample import SampleSummary, write_sample
from extractors.sample.facts import GRAPH_RELATIONS, MEDIA_RELATIONS
from storage.datasets.audit import audit
from storage.datasets.dataset import Dataset, ItemKind, read_dataset
from storage.errors import MocmeError

FILE_FIELDS = ("image", "audio", "video")
TSV_FILES = ("train.tsv", "valid.tsv", "test.tsv", "unstated.tsv")

Entities = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("sample") / "graph", seed=3, num_things=100)


@pytest.fixture(scope="module")
def dataset(summary: SampleSummary) -> Dataset:
    return read_dataset(summary.directory)


@pytest.fixture(scope="module")
def entities(summary: SampleSummary) -> Entities:
    lines = (summary.directory / "entities.jsonl").read_text().splitlines()
    return {entity["id"]: entity for entity in map(json.loads, lines)}


@pytest.fixture(scope="module")
def facts(summary: SampleSummary) -> dict[str, dict[str, str]]:
    """Head to tail, by relation, of everything that is true."""
    by_relation: dict[str, dict[str, str]] = {}
    for name in TSV_FILES:
        for head, relation, tail in read_triples(summary.directory / name):
            by_relation.setdefault(relation, {})[head] = tail
    return by_relation


def read_triples(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def listed_files(entities: Entities) -> list[str]:
    """Return the paths that entities list, in order."""
    return [
        path
        for entity in entities.values()
        for field in FILE_FIELDS
        for path in entity.get(field, [])
    ]


class TestFolder:
    def test_reads_as_dataset_with_what_the_summary_says(
        self, summary: SampleSummary, dataset: Dataset
    ) -> None:
        kinds: dict[str, ItemKind] = {"text": "text", "numeric": "numbers"}
        kinds |= dict.fromkeys(FILE_FIELDS, "file")
        counts = {field: len(dataset.items([field], kind)) for field, kind in kinds.items()}
        assert counts == dict(summary.num_items)
        assert dataset.graph.num_entities == summary.num_entities
        splits = {name: len(dataset.graph.split(name)) for name in ("train", "valid", "test")}
        assert splits == dict(summary.num_triples)
        assert len(read_triples(summary.directory / "unstated.tsv")) == summary.num_unstated

    def test_splits_are_clean(self, summary: SampleSummary, dataset: Dataset) -> None:
        found = audit(dataset.graph)
        for split in found.splits.values():
            assert (split.duplicates, split.unseen_relation, split.self_loops) == (0, 0, 0)
        for leak in found.leaks.values():
            assert (leak.lines, leak.reversed_lines) == (0, 0)
        assert found.splits["valid"].unseen_entity == 0
        assert found.splits["test"].unseen_entity == summary.num_unseen * len(MEDIA_RELATIONS)

    def test_every_split_has_every_relation_of_things(self, summary: SampleSummary) -> None:
        of_things = {relation.name for relation in MEDIA_RELATIONS} | set(GRAPH_RELATIONS)
        for name in TSV_FILES:
            present = {relation for _, relation, _ in read_triples(summary.directory / name)}
            assert of_things <= present, name

    def test_splits_have_the_shares_of_80_10_10(self, summary: SampleSummary) -> None:
        num = sum(summary.num_triples.values())
        assert 0.09 < summary.num_triples["valid"] / num < 0.13
        assert 0.09 < summary.num_triples["test"] / num < 0.13

    def test_unstated_facts_stand_in_no_split(self, summary: SampleSummary) -> None:
        everything = [read_triples(summary.directory / name) for name in TSV_FILES]
        counts = Counter(map(tuple, chain.from_iterable(everything)))
        assert max(counts.values()) == 1

    def test_graph_uses_every_entity(self, dataset: Dataset) -> None:
        graph = dataset.graph
        used = np.unique(np.concatenate([graph.train, graph.valid, graph.test])[:, [0, 2]])
        assert len(used) == graph.num_entities

    def test_listed_paths_stay_inside(self, summary: SampleSummary, entities: Entities) -> None:
        root = summary.directory.resolve()
        for listed in listed_files(entities):
            assert (root / listed).resolve().is_relative_to(root)
            assert not (root / listed).is_symlink()

    def test_no_file_is_left_unlisted(self, summary: SampleSummary, entities: Entities) -> None:
        media = summary.directory / "media"
        there = {str(p.relative_to(summary.directory)) for p in media.rglob("*") if p.is_file()}
        assert there <= set(listed_files(entities))

    def test_some_things_lack_each_modality(
        self, entities: Entities, facts: Mapping[str, Mapping[str, str]]
    ) -> None:
        things = [entities[head] for head in facts["has_colour"]]
        for field in (*FILE_FIELDS, "text", "numeric"):
            share = sum(field not in thing for thing in things) / len(things)
            assert 0.1 < share < 0.3, field

    def test_guide_names_every_relation(self, summary: SampleSummary) -> None:
        guide = (summary.directory / "FACTS.md").read_text()
        for relation in (*(r.name for r in MEDIA_RELATIONS), *GRAPH_RELATIONS):
            assert f"`{relation}`" in guide


def decode(path: Path) -> None:
    """Decode a media file to its end with the library of its kind."""
    if path.parent.name == "image":
        with Image.open(path) as picture:
            picture.load()
    elif path.parent.name == "audio":
        samples, _ = soundfile.read(path)
        if not len(samples):
            raise ValueError("no samples")
    else:
        with av.open(str(path)) as container:
            if not list(container.decode(video=0)):
                raise ValueError("no frames")


class TestMedia:
    def test_as_many_files_fail_to_decode_as_are_broken(
        self, summary: SampleSummary, entities: Entities
    ) -> None:
        failed = []
        for listed in listed_files(entities):
            try:
                decode(summary.directory / listed)
            except (OSError, ValueError, soundfile.LibsndfileError, av.FFmpegError):
                failed.append(listed)
        assert len(failed) == summary.num_broken == 5
        guide = (summary.directory / "FACTS.md").read_text()
        assert all(f"`{listed}`" in guide for listed in failed)

    def test_clips_have_no_colour(self, summary: SampleSummary, entities: Entities) -> None:
        clips = [p for p in listed_files(entities) if p.endswith(".mp4") and "static" not in p]
        for listed in clips[:10]:
            with av.open(str(summary.directory / listed)) as container:
                frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            assert np.ptp(np.stack(frames).astype(int), axis=-1).max() <= 2

    def test_texts_name_no_answer_that_other_modalities_show(
        self, entities: Entities, facts: Mapping[str, Mapping[str, str]]
    ) -> None:
        shown = {name for r in MEDIA_RELATIONS if r.modalities != ("text",) for name in r.tails}
        words = re.compile(rf"\b({'|'.join(map(re.escape, shown))})\b", re.IGNORECASE)
        for head in facts["lives_in"]:
            assert not words.search(str(entities[head].get("text", ""))), entities[head]


class TestRepeats:
    def test_same_seed_same_bytes(self, tmp_path: Path) -> None:
        first, second = (write_sample(tmp_path / name, 7, 60).directory for name in "ab")
        files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
        assert [f for f in files if (first / f).read_bytes() != (second / f).read_bytes()] == []

    def test_other_seed_other_world(self, tmp_path: Path) -> None:
        one, other = (write_sample(tmp_path / str(seed), seed, 60) for seed in (1, 2))
        for name in ("entities.jsonl", "train.tsv", "test.tsv"):
            written = [(s.directory / name).read_bytes() for s in (one, other)]
            assert written[0] != written[1]


class TestRefuses:
    def test_directory_that_is_not_empty(self, tmp_path: Path) -> None:
        (tmp_path / "precious.txt").write_text("mine")
        with pytest.raises(MocmeError, match="not empty"):
            write_sample(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("mine")
        with pytest.raises(MocmeError, match="found a file"):
            write_sample(tmp_path / "taken")

    def test_link_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "absent")
        with pytest.raises(MocmeError, match="link: found File exists"):
            write_sample(tmp_path / "link")
        assert not (tmp_path / "absent").exists()

    @pytest.mark.parametrize(("seed", "num_things"), [(-1, 100), (0, 59), (0, 3001)])
    def test_numbers_out_of_range(self, tmp_path: Path, seed: int, num_things: int) -> None:
        with pytest.raises(MocmeError, match="allowed"):
            write_sample(tmp_path / "new", seed, num_things)
        assert not (tmp_path / "new").exists()

    def test_empty_directory_is_fine(self, tmp_path: Path) -> None:
        assert write_sample(tmp_path, num_things=60).directory == tmp_path
