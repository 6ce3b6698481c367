"""What is damaged, and which commands then meet it.

Every case begins as a copy of one small world: the sample graph's folder, its store, a finished
run, published features. Among them lie files of a user's, which nothing may touch.
"""

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fuzzing import damage
from fuzzing.damage import BYTES, PLACES, TEXTS, Damage, replace_value

USERS_FILES = (
    *("notes.txt", "graph/notes.txt", "graph/media/mine.png", "features/notes.txt"),
    *("features/image_stats/notes.txt", "runs/notes.txt", "runs/newest/notes.txt"),
    *("runs/newest/thesis.csv", "runs/newest/report/wedding.png", "runs/newest/.draft.part"),
)
"""Planted in every case's folder; relative to it."""

CONFIG = "world.yaml"


Surface = Callable[[random.Random, Path], list[str]]
"""Damages a case's folder, and returns the command to run there."""


def _damage_one(draw: random.Random, files: list[Path], kinds: tuple[Damage, ...]) -> None:
    for _ in range(draw.choice((1, 1, 2))):
        there = [path for path in files if path.is_file() and not path.is_symlink()]
        if there:
            draw.choice(kinds)(draw, draw.choice(there))


def _tables(draw: random.Random, case: Path) -> list[str]:
    """Damage the dataset's own tables."""
    graph = case / "graph"
    tables = [graph / "entities.jsonl", *sorted(graph.glob("*.tsv"))]
    _damage_one(draw, tables, (*TEXTS, *TEXTS, *PLACES))
    return draw.choice((["audit", "graph"], ["status", CONFIG], ["audit", "graph", "--json"]))


def _openke(draw: random.Random, case: Path) -> list[str]:
    """Damage a folder as the field publishes graphs."""
    _damage_one(draw, sorted((case / "openke").iterdir()), (*TEXTS, *TEXTS, *PLACES))
    return ["audit", "openke"]


def _yaml(draw: random.Random, case: Path) -> list[str]:
    """Damage the config."""
    _damage_one(draw, [case / CONFIG], (*TEXTS, *TEXTS, *TEXTS, *PLACES))
    return ["status", CONFIG]


_KEYS = (
    *("dataset", "store", "runs", "modalities", "modalities.text.field", "modalities.image.model"),
    *("modalities.text.extractor", "extract.batch_size", "extract.timeout_seconds", "train.epochs"),
    *("train.negatives", "train.negatives.mode", "model.dim", "model", "predict.k", "a.b.c", ""),
)


def _set(draw: random.Random, case: Path) -> list[str]:
    """Override keys by values of any kind."""
    word = draw.choice(damage.WORDS).replace("\0", "")
    value = draw.choice((word, f"{{a: {word}}}", f"[{word}]", f'"{word}"'))
    pair = draw.choice((f"{draw.choice(_KEYS)}={value}", value))
    return ["status", CONFIG, "--set", pair]


def _runs(draw: random.Random, case: Path) -> list[str]:
    """Damage a finished run."""
    run = (case / "runs/newest").resolve()
    users = {case / name for name in USERS_FILES}
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path not in users]
    files = [path for path in files if path.name not in {Path(it).name for it in USERS_FILES}]
    kinds = (*BYTES, *PLACES, replace_value, replace_value)
    _damage_one(draw, files, kinds)
    question = ["--head", "thing-0001", "--relation", "family"]
    return draw.choice(
        (
            ["predict", "--run", "runs/newest", *question],
            ["predict", CONFIG, *question, "--why"],
            ["predict", "--run", "runs/newest", "--all", "--out", "made.jsonl", "-k", "3"],
            ["report", "runs/newest"],
            ["status", CONFIG],
            ["place", CONFIG],
            ["export", "embeddings", "made.npy", "--run", "runs/newest"],
        )
    )


def _stores(draw: random.Random, case: Path) -> list[str]:
    """Damage a store's files."""
    store = case / "features"
    files = [path for path in sorted(store.rglob("*.mdb")) if path.is_file()]
    _damage_one(draw, files, (*BYTES, *BYTES, *PLACES))
    return draw.choice(
        (
            ["store", "verify", "features"],
            ["store", "verify", "features", "--repair"],
            ["store", "stats", "features"],
            ["store", "copy", "features", "made"],
            ["store", "gc", CONFIG],
            ["store", "export", CONFIG, "text", "made.npy"],
            ["extract", CONFIG, "--dry-run"],
            ["status", CONFIG],
        )
    )


def _published(draw: random.Random, case: Path) -> list[str]:
    """Damage files of published features, or their list of ids."""
    files = sorted(path for path in (case / "published").iterdir() if path.suffix != ".txt")
    file, ids = draw.choice(files), case / "published/ids.txt"
    _damage_one(draw, draw.choice(([file], [file], [ids])), (*BYTES, *BYTES, *PLACES))
    return ["store", "import", CONFIG, "more", str(file), "--ids", str(ids)]


SURFACES: Mapping[str, Surface] = {
    "tables": _tables,
    "OpenKE": _openke,
    "YAML": _yaml,
    "--set": _set,
    "run folders": _runs,
    "stores": _stores,
    "published features": _published,
}


def write_published(folder: Path, ids: list[str]) -> None:
    """Write the same features in every format that is read."""
    import h5py
    import torch
    from safetensors.numpy import save_file

    folder.mkdir()
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in ids))
    values = np.random.default_rng(0).standard_normal((len(ids), 8)).astype(np.float32)
    np.save(folder / "a.npy", values)
    np.savez_compressed(folder / "a.npz", values=values)
    save_file({"values": values}, folder / "a.safetensors")
    torch.save({"values": torch.from_numpy(values)}, folder / "a.pth")
    with h5py.File(folder / "a.h5", "w") as file:
        file["values"] = values


def write_openke(folder: Path, graph: Path) -> None:
    """Write the first triples of a dataset folder in OpenKE form."""
    folder.mkdir()
    lines = (graph / "train.tsv").read_text().splitlines()[:200]
    triples = [line.split("\t") for line in lines]
    entities = sorted({name for head, _, tail in triples for name in (head, tail)})
    relations = sorted({relation for _, relation, _ in triples})
    for name, names in (("entity", entities), ("relation", relations)):
        rows = "".join(f"{text}\t{row}\n" for row, text in enumerate(names))
        (folder / f"{name}2id.txt").write_text(f"{len(names)}\n{rows}")
    rows = [
        f"{entities.index(head)} {entities.index(tail)} {relations.index(relation)}\n"
        for head, relation, tail in triples
    ]
    for split, part in (("train", rows[:150]), ("valid", rows[150:175]), ("test", rows[175:])):
        (folder / f"{split}2id.txt").write_text(f"{len(part)}\n" + "".join(part))


def plant_users_files(case: Path) -> None:
    """Write the files of the user's that nothing may touch."""
    for name in USERS_FILES:
        path = case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}\n")


def copy_world(world: Path, case: Path) -> None:
    """Copy the world, links as links."""
    shutil.copytree(world, case, symlinks=True)
