"""Writes the sample graph into a folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from extractors.sample.broken import add_broken_files, broken_files
from extractors.sample.facts import concept_facts, concepts, thing_facts
from extractors.sample.guide import CONFIG, write_guide
from extractors.sample.media import FILE_MODALITIES, make_fields, media_path
from extractors.sample.splits import Splits, deal
from extractors.sample.texts import describe
from extractors.sample.world import MODALITIES, Thing, draw_things
from storage.datasets.graph import SPLITS
from storage.errors import MocmeError

MIN_THINGS = 60
"""With fewer, a split could lack a relation."""

MAX_THINGS = 3000
"""With more, the names of families would run out."""

Entity = dict[str, object]
"""A line of `entities.jsonl`."""


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What was written.

    Attributes:
        directory: The dataset folder.
        config: The configuration to begin with.
        num_things: Entities with media.
        num_entities: All entities.
        num_unseen: Things that occur in test only.
        num_triples: Triples of each split.
        num_unstated: Facts that hold and stand in no split.
        num_items: Items of each modality, the broken files included.
        num_broken: Listed files that cannot be decoded, or do not exist.
        num_bytes: Bytes of all files together.
    """

    directory: Path
    config: Path
    num_things: int
    num_entities: int
    num_unseen: int
    num_triples: Mapping[str, int]
    num_unstated: int
    num_items: Mapping[str, int]
    num_broken: int
    num_bytes: int


def write_sample(directory: Path, seed: int = 0, num_things: int = 600) -> SampleSummary:
    """Write the sample graph as a dataset folder, with a configuration to begin with.

    The same seed and number of things yield the same entities and triples everywhere, and the
    same media with the same versions of the media libraries.

    Args:
        directory: Where to write; absent or empty.
        seed: Seed of the world, at least 0.
        num_things: Number of things, from `MIN_THINGS` to `MAX_THINGS`.

    Raises:
        MocmeError: If the directory is not empty or cannot be written to, or a number is out of
            range.
    """
    _check(directory, seed, num_things)
    world, truth, order = (
        np.random.default_rng(chance) for chance in np.random.SeedSequence(seed).spawn(3)
    )
    things = draw_things(num_things, world)
    unseen = {thing.id for thing in things if thing.unseen}
    splits = deal(thing_facts(things, truth), unseen, order)
    splits.train.extend(concept_facts(num_things))
    config = directory / "mocme.yaml"
    try:
        entities = _concept_entities(num_things) + _write_things(directory, things, seed)
        _write_graph(directory, entities, splits)
        _write_lines(config, CONFIG.splitlines())
        _write_lines(directory / "FACTS.md", write_guide(things, len(splits.unstated)).splitlines())
    except OSError as error:
        raise MocmeError(
            f"{directory}: found {error.strerror or error}; allowed: a place with room that can be "
            "written to; empty the folder before the next try"
        ) from error
    return SampleSummary(
        directory=directory,
        config=config,
        num_things=num_things,
        num_entities=len(entities),
        num_unseen=len(unseen),
        num_triples={name: len(getattr(splits, name)) for name in SPLITS},
        num_unstated=len(splits.unstated),
        num_items={modality: _count_items(entities, modality) for modality in MODALITIES},
        num_broken=len(broken_files()),
        num_bytes=sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
    )


def _check(directory: Path, seed: int, num_things: int) -> None:
    """Refuse what cannot be written, or would mix with what is there."""
    if seed < 0:
        raise MocmeError(f"seed: found {seed}; allowed: 0 or greater")
    if not MIN_THINGS <= num_things <= MAX_THINGS:
        raise MocmeError(
            f"number of things: found {num_things}; allowed: {MIN_THINGS} to {MAX_THINGS}"
        )
    _make_empty(directory)


def _make_empty(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise MocmeError(f"{directory}: found a file; allowed: a new or an empty directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_empty = not any(directory.iterdir())
    except OSError as error:  # a link to nothing, too
        reason = error.strerror or str(error)
        raise MocmeError(f"{directory}: found {reason}; allowed: a new or an empty one") from error
    if not is_empty:
        raise MocmeError(
            f"{directory}: found a directory that is not empty; allowed: a new or an empty one"
        )


def _concept_entities(num_things: int) -> list[Entity]:
    return [
        {"id": concept.id, "name": concept.name, "text": describe(concept)}
        for concept in concepts(num_things)
    ]


def _write_things(directory: Path, things: Sequence[Thing], seed: int) -> list[Entity]:
    """Write the media of all things, and return the things as entities."""
    for modality in FILE_MODALITIES:
        (directory / media_path(modality, "")).mkdir(parents=True)
    with ThreadPoolExecutor() as pool:  # the encoders release the interpreter's lock
        fields = list(pool.map(partial(make_fields, directory, seed), things, count()))
    add_broken_files(directory, fields)
    return [
        {"id": thing.id, "name": thing.name, **shown}
        for thing, shown in zip(things, fields, strict=True)
    ]


def _write_graph(directory: Path, entities: Iterable[Entity], splits: Splits) -> None:
    _write_lines(directory / "entities.jsonl", map(json.dumps, entities))
    for name, triples in asdict(splits).items():
        _write_lines(directory / f"{name}.tsv", map("\t".join, triples))


def _count_items(entities: Iterable[Entity], modality: str) -> int:
    """Count the paths listed, or the texts or rows of numbers."""
    shown = [entity[modality] for entity in entities if modality in entity]
    return sum(len(item) if isinstance(item, list) else 1 for item in shown)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
