"""The sample graph as a world: what is planted shows where it should, and nowhere else.

Simple features and a ridge regression stand for extractors and a model.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from extractors.sample import write_sample
from extractors.sample.facts import MEDIA_RELATIONS, PlantedRelation, concept_id
from extractors.sample.vocabulary import TRAITS
from extractors.sample.world import MODALITIES

NUM_FOLDS = 4

Features = dict[str, NDArray[np.float64]]
Answers = dict[str, str]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "graph", num_things=240).directory


@pytest.fixture(scope="module")
def facts(graph: Path) -> dict[str, Answers]:
    """Head to tail, by relation, of everything that is true."""
    by_relation: dict[str, Answers] = {}
    for name in ("train", "valid", "test", "unstated"):
        for line in (graph / f"{name}.tsv").read_text().splitlines():
            head, relation, tail = line.split("\t")
            by_relation.setdefault(relation, {})[head] = tail
    return by_relation


def image_features(path: Path) -> NDArray[np.float64]:
    """Hues and variegation of the body, and its silhouette, centred and scaled."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
        hues = np.asarray(picture.convert("HSV"))[..., 0]
    body = np.ptp(pixels, axis=-1) > 0.25 * pixels.max(axis=-1)
    rows, columns = np.nonzero(body)
    reach = np.linspace(-1.6, 1.6, 14) * np.hypot(rows.std(), columns.std())
    at = (np.clip(np.rint(a.mean() + reach), 0, 95).astype(int) for a in (rows, columns))
    ripple = [np.abs(np.diff(pixels[body].sum(axis=-1))).mean(), *pixels[body].std(axis=0)]
    shares = np.histogram(hues[body], bins=24, range=(0, 256))[0] / body.sum()
    silhouette = body[np.ix_(*at)].ravel()
    return np.concatenate([pixels[body].mean(axis=0), shares, ripple, silhouette])


def audio_features(path: Path) -> NDArray[np.float64]:
    """Loudness in bands a semitone or so wide, and how it changes over time."""
    samples, rate_hz = soundfile.read(path)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::256] * np.hanning(1024)
    power = np.abs(np.fft.rfft(windows)) ** 2
    edges = np.geomspace(100, 7500, 64) * 1024 / rate_hz
    bands = np.searchsorted(edges, np.arange(513))
    sums = np.stack([power[:, bands == band].sum(axis=1) for band in range(64)], axis=1)
    decibels = 10 * np.log10(sums + 1e-3)
    loudness = decibels.max(axis=1)[4:-8]
    return np.concatenate([decibels.mean(axis=0), [loudness.std(), np.diff(loudness).std()]])


def video_features(path: Path) -> NDArray[np.float64]:
    """How the bright spots' middle, area and number of pixels change over time."""
    with av.open(str(path)) as container:
        frames = np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)])
    bright = frames.astype(np.float64) > 120
    area = bright.sum(axis=(1, 2))
    seen = bright[area > 0]
    y, x = (np.array([np.nonzero(frame)[axis].mean() for frame in seen]) for axis in (0, 1))
    together = np.mean((x - x.mean()) * (y - y.mean()))
    return np.array([area.std(), (area == 0).mean(), np.median(area), x.std(), y.std(), together])


def text_features(text: str) -> NDArray[np.float64]:
    """Which words occur, in 512 bins."""
    counts = np.zeros(512)
    counts[[zlib.crc32(word.encode()) % 512 for word in re.findall(r"[a-z]+", text.lower())]] = 1
    return counts


def numeric_features(numbers: Mapping[str, float]) -> NDArray[np.float64]:
    """How near each number is to each of ten values."""
    lengths = np.exp(-(((numbers["length_cm"] - np.linspace(5, 105, 11)) / 10) ** 2))
    return np.concatenate([lengths, [numbers["age_years"]]])


READERS: Mapping[str, Callable[[Path], NDArray[np.float64]]] = {
    "image": image_features,
    "audio": audio_features,
    "video": video_features,
}


@pytest.fixture(scope="module")
def features(graph: Path) -> dict[str, Features]:
    """Simple features by modality and entity, of each first item that is not broken."""
    found: dict[str, Features] = {modality: {} for modality in MODALITIES}
    for line in (graph / "entities.jsonl").read_text().splitlines():
        entity = json.loads(line)
        for modality in READERS.keys() & entity.keys():
            path = graph / entity[modality][0]
            if path.stem == entity["id"]:
                found[modality][entity["id"]] = READERS[modality](path)
        if "text" in entity:
            found["text"][entity["id"]] = text_features(entity["text"])
        if "numeric" in entity:
            found["numeric"][entity["id"]] = numeric_features(entity["numeric"])
    return found


def accuracy(features: Features, answers: Answers) -> tuple[float, float]:
    """Try a ridge regression on each fold of the heads after learning from the others.

    Returns:
        The share of right answers, and how far chance alone would lift it (four sigmas).
    """
    heads = sorted(features.keys() & answers.keys())
    tails = sorted(set(answers.values()))
    x = np.stack([features[head] for head in heads])
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    y = np.array([tails.index(answers[head]) for head in heads])
    right = np.zeros(len(heads))
    for fold in range(NUM_FOLDS):
        held = np.arange(len(heads)) % NUM_FOLDS == fold
        gram = x[~held] @ x[~held].T + 0.1 * x.shape[1] * np.eye((~held).sum())
        weights = np.linalg.solve(gram, np.eye(len(tails))[y[~held]] - 1 / len(tails))
        right[held] = (x[held] @ x[~held].T @ weights).argmax(axis=1) == y[held]
    guess = 1 / len(tails)
    return float(right.mean()), guess + 4 * float(np.sqrt(guess * (1 - guess) / len(heads)))


def values_of_trait(relation: PlantedRelation, trait: str, answers: Answers) -> Answers:
    """Work back from a relation's answers to one of the traits that decide them."""
    tails = [concept_id(tail) for tail in relation.tails]
    sizes = [len(TRAITS[name]) for name in relation.traits]
    axis = relation.traits.index(trait)
    values = {tail: str(np.unravel_index(i, sizes)[axis]) for i, tail in enumerate(tails)}
    return {head: values[tail] for head, tail in answers.items()}


@pytest.mark.parametrize(
    ("relation", "trait", "shown_in"),
    [
        pytest.param(relation, trait, modality, id=f"{relation.name}-{trait}")
        for relation in MEDIA_RELATIONS
        for trait, modality in zip(relation.traits, relation.modalities, strict=True)
    ],
)
def test_trait_shows_in_its_modality_alone(
    relation: PlantedRelation,
    trait: str,
    shown_in: str,
    features: dict[str, Features],
    facts: dict[str, Answers],
) -> None:
    values = values_of_trait(relation, trait, facts[relation.name])
    for modality in MODALITIES:
        right, by_chance = accuracy(features[modality], values)
        if modality == shown_in:
            assert right > max(0.5, 1.25 * by_chance), modality
        else:
            assert right < by_chance, modality


@pytest.mark.parametrize("relation", ["of_family", "speaks"])
def test_relation_of_the_graph_shows_in_no_modality(
    relation: str, features: dict[str, Features], facts: dict[str, Answers]
) -> None:
    for modality in MODALITIES:
        right, by_chance = accuracy(features[modality], facts[relation])
        assert right < by_chance, modality


def test_attributes_are_independent(facts: dict[str, Answers]) -> None:
    """The other answers about a thing do not tell the one asked for."""
    names = [relation.name for relation in MEDIA_RELATIONS]
    for asked in names:
        told: Features = {}
        for head in facts[asked]:
            others = [f"{name}{facts[name][head]}" for name in names if name != asked]
            told[head] = text_features(" ".join(others).replace("_", ""))
        right, by_chance = accuracy(told, facts[asked])
        assert right < by_chance, asked


def test_family_tells_the_dialect_and_the_friends(facts: dict[str, Answers]) -> None:
    family, dialect = facts["of_family"], facts["speaks"]
    assert len({(family[head], dialect[head]) for head in family}) == len(set(family.values()))
    assert all(family[head] == family[tail] for head, tail in facts["friend_of"].items())
