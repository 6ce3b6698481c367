"""A small graph whose kinds, texts, attributes and paths hold what formats trip over."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from flows.configs.pipeline_config import PipelineConfig
from mocme.exporting.entity_content import EntityContent, content_of
from model.prediction.answers import PredictedTriple
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import Graph

NAMES = ['a "quoted" name', "two\nlines", "café 🦊", "\ttab\x07bell", "back\\slash", "plain"]
KINDS = (("Country", "a;b"), ("a_b",), ('with "quotes", commas',), ("two\nlines",), (), ("Entity",))
ENTITIES = [
    {
        "text": "One; only.",
        "image": ["media/a picture.png", "media/ü;#?.png"],
        "numeric": {"population": 67_391_582, "area (km2)": 0.1, "name": 1, "big": 2**60 + 1},
    },
    {
        "text": 'Says "x",\nthen y.',
        "motto": ["first; part", "second | part"],
        "numeric": {"population": 5, "area_km2": 2.5, "a:b": -3, "huge": 2**70 + 1},
    },
    {"audio": "media/sound.ogg", "motto": "one", "numeric": {"a b": 1e-7, "text": 4}},
    {"text": "  ", "numeric": {"population": None, "wrong": "five", "so": True}, "image": None},
    {"text": 7, "image": ["../outside.png", "/etc/passwd"], "numeric": [1]},
    {},
]
IDS = [f"e{number}" for number in range(len(ENTITIES))]


def odd_dataset(folder: Path) -> EntityContent:
    """Write the entities to a folder, and return what they list."""
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"id": entity, "name": name, **fields})
        for entity, name, fields in zip(IDS, NAMES, ENTITIES, strict=True)
    ]
    (folder / "entities.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for split in ("train", "valid", "test"):
        (folder / f"{split}.tsv").write_text("e0\tr\te1\n")
    text = {"extractor": "text_hash", "field": ["name", "text", "motto"]}
    config = PipelineConfig(dataset=str(folder), modalities={"words": text})
    return content_of(config, read_dataset(folder))


def odd_graph(relations: tuple[str, ...] = ("capital of",)) -> Graph:
    """Return the entities with kinds, a certain fact, an uncertain one, and a wrong one."""
    train = np.array([[0, 0, 1], [1, 0, 2]])
    graph = Graph(tuple(IDS), tuple(NAMES), relations, train, train[:0], train[:0])
    return replace(
        graph,
        kinds=KINDS,
        uncertain=train[1:],
        confidences=np.array([0.7], dtype=np.float32),
        negatives=np.array([[0, 0, 3]]),
    )


def predicted(relations: Iterable[str] = ("capital of",)) -> list[PredictedTriple]:
    """Return a triple of each relation that the graph lacks."""
    ends = ("e4", NAMES[4]), ("e5", NAMES[5])
    return [
        PredictedTriple(*ends[0], it, *ends[1], 0.25, {"text": 0.75, "a:b": 0.25}, {}, (), None)
        for it in relations
    ]
