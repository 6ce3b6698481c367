"""Feature files in the shapes the field publishes, from `store import` to a trained model.

docs/published-features.md tells a user the same steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from safetensors import safe_open
from small_runs import mocme, small

NUM_ENTITIES = 24
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Published:
    """A graph's feature files: the width of each modality, and how its file is written."""

    widths: dict[str, int]
    suffix: str
    options: dict[str, list[str]] = field(default_factory=dict)


def write_hdf5(path: Path, rows: Rows) -> None:
    with h5py.File(path, "w") as file:
        file["features"] = rows
        file["other"] = rows[:, :1]


WRITERS: dict[str, Callable[[Path, Rows], Any]] = {
    ".pth": lambda path, rows: torch.save(torch.from_numpy(rows), path),
    ".npy": lambda path, rows: np.save(path, rows),
    ".h5": write_hdf5,
}
KEY = {"image": ["--key", "features"], "audio": ["--key", "features"]}
GRAPHS = {
    "DB15K": Published({"image": 4096, "text": 768, "numeric": 300}, ".pth"),
    "MKG-W": Published({"image": 383, "text": 384}, ".pth"),
    "MKG-Y": Published({"image": 383, "text": 384}, ".npy"),
    "KVC16K": Published({"image": 768, "text": 768, "audio": 768, "video": 768}, ".npy"),
    "TIVA": Published({"image": 2048, "audio": 2048}, ".h5", KEY),
}


FORMATS_OF_OTHERS = {"MKG-W", "MKG-Y"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in FORMATS_OF_OTHERS else ())
        for name in GRAPHS
    ]
)
def graph(request: pytest.FixtureRequest, tmp_path: Path, prefect_server: str) -> Path:
    """An OpenKE folder whose entities are not listed in the order of their ids."""
    folder = tmp_path / request.param
    folder.mkdir()
    generator = np.random.default_rng(0)
    order = generator.permutation(NUM_ENTITIES)
    names = "".join(f"entity {row} of it\t{row}\n" for row in order)
    (folder / "entity2id.txt").write_text(f"{NUM_ENTITIES}\n{names}")
    (folder / "relation2id.txt").write_text("2\nr 0\ns 1\n")
    pairs = [(h, t) for h in range(NUM_ENTITIES) for t in range(NUM_ENTITIES) if (h + t) % 5 == 0]
    rows = [f"{h} {t} {(h * t) % 2}\n" for h, t in pairs]
    valid, test, train = rows[:6], rows[6:12], rows[12:]
    for split, lines in {"train": train, "valid": valid, "test": test}.items():
        (folder / f"{split}2id.txt").write_text(f"{len(lines)}\n{''.join(lines)}")
    (tmp_path / "mocme.yaml").write_text(f"dataset: {request.param}\n")
    return folder


def import_all(graph: Path) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Write and import every modality's file; return the rows and the entries for the config."""
    published = GRAPHS[graph.name]
    config, generator = graph.parent / "mocme.yaml", np.random.default_rng(1)
    rows, entries = {}, {}
    for modality, width in published.widths.items():
        file = graph.parent / f"{graph.name}-{modality}{published.suffix}"
        rows[modality] = generator.standard_normal((NUM_ENTITIES, width)).astype(np.float32)
        WRITERS[published.suffix](file, rows[modality])
        options = ["--ids", graph / "entity2id.txt", *published.options.get(modality, [])]
        command = mocme("store", "import", config, modality, file, *options, "--json")
        assert command.exit_code == 0, command.stderr
        counts = command.json["imported"][modality]
        assert counts == {"new": NUM_ENTITIES, "cached": 0, "failed": 0, "missing": 0}
        entries |= command.json["entry"]
    config.write_text(yaml.safe_dump({"dataset": graph.name, "modalities": entries}))
    return rows, entries


def test_rows_arrive_at_their_entities_and_train(graph: Path) -> None:
    rows, entries = import_all(graph)
    config = graph.parent / "mocme.yaml"
    for modality, expected in rows.items():
        out = graph.parent / f"{modality}.safetensors"
        command = mocme("store", "export", config, modality, out)
        assert command.exit_code == 0, command.stderr
        with safe_open(out, framework="np") as file:
            found = file.get_tensor(next(iter(file.keys())))
        ids = out.with_suffix(".ids.txt").read_text().splitlines()
        places = [int(name.split()[1]) for name in ids]
        assert sorted(places) == list(range(NUM_ENTITIES))
        np.testing.assert_array_equal(found, expected[places])
    trained = small("run", config, "train.epochs=1")
    assert trained.exit_code == 0, trained.stderr
    counts = {"new": 0, "cached": NUM_ENTITIES, "failed": 0, "missing": 0}
    assert trained.json["extracted"] == dict.fromkeys(entries, counts)
    assert trained.json["metrics"]["test"]["mrr"] > 0
