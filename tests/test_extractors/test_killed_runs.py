"""Killed at random moments, a run that goes on ends with what an uninterrupted one has.

`MOCME_KILLS` sets how often each extractor's run is killed (`make bench`: 25).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed_runs
import numpy as np
import plain_store
import pytest
from PIL import Image
from tiny_checkpoints import save_bert

NUM_KILLS = int(os.environ.get("MOCME_KILLS", "3"))
NUM_ENTITIES = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of pictures and texts; every tenth picture is broken."""
    root = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    entities = []
    for number in range(NUM_ENTITIES):
        path = root / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)).save(path)
        if number % 10 == 0:
            path.write_bytes(path.read_bytes()[: 200 + number])
        words = " ".join(f"word {word}" for word in rng.integers(100, size=number % 40))
        entities.append({"id": f"e{number}", "image": path.name, "text": f"{number} {words}"})
    (root / "entities.jsonl").write_text("\n".join(map(json.dumps, entities)))
    for split in ("train", "valid", "test"):
        (root / f"{split}.tsv").write_text("e0\tbeside\te1\n")
    return root


def kill_runs(root: Path, stores: Path, plan: dict[str, Any]) -> list[dict[bytes, bytes | str]]:
    """Have runs killed. Returns what the uninterrupted store holds, then what the others do."""
    command = [sys.executable, killed_runs.__file__, str(root), str(stores), json.dumps(plan)]
    found = subprocess.run(
        [*command, "--kills", str(NUM_KILLS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    report = json.loads(found.stdout)
    assert report["kills"] == NUM_KILLS
    assert len(report["stores"]) >= 2
    folders = [next((stores / store / plan["extractor"]).iterdir()) for store in report["stores"]]
    return [plain_store.contents(folder) for folder in folders]


def test_vectors_and_reasons_without_a_backbone_are_identical(root: Path, tmp_path: Path) -> None:
    plan = {"extractor": "image_stats", "config": {}, "field": "image"}
    whole, *resumed = kill_runs(root, tmp_path, plan)
    assert len(whole) == NUM_ENTITIES
    assert sum(isinstance(row, str) for row in whole.values()) == NUM_ENTITIES // 10
    for store in resumed:
        assert store == whole


@pytest.mark.slow
def test_vectors_of_a_backbone_differ_by_rounding_at_most(root: Path, tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    config = {"model": str(tmp_path / "bert")}
    plan = {"extractor": "text_bert", "config": config, "field": "text"}
    whole, *resumed = kill_runs(root, tmp_path / "stores", plan)
    expected = rows(whole)
    assert len(expected) == NUM_ENTITIES
    for store in resumed:
        assert store.keys() == whole.keys()
        np.testing.assert_allclose(rows(store), expected, rtol=0, atol=1e-3)


def test_a_disk_that_is_full_for_a_while(root: Path, tmp_path: Path) -> None:
    """A limit on every file's size, too small for all vectors, and then none."""
    program = (
        "import resource, sys; from pathlib import Path; import killed_runs; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1)); "
        "plan = dict(extractor='image_stats', config={}, field='image'); "
        "killed_runs.extract(Path(sys.argv[1]), Path(sys.argv[2]), plan)"
    )
    path = os.pathsep.join([*sys.path, str(Path(killed_runs.__file__).parent)])

    def extract(store: str, limit: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(root), str(tmp_path / store), str(limit)]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    full = extract("full", 2**17)
    assert full.returncode == 1
    assert "is the disk full?" in full.stderr
    before = stored_in(tmp_path / "full")
    assert 0 < len(before) < NUM_ENTITIES
    assert extract("full", 2**30).returncode == extract("whole", 2**30).returncode == 0
    whole = stored_in(tmp_path / "whole")
    assert len(whole) == NUM_ENTITIES
    assert stored_in(tmp_path / "full") == whole
    assert before.items() <= whole.items()


def stored_in(store: Path) -> dict[bytes, bytes | str]:
    return plain_store.contents(next((store / "image_stats").iterdir()))


def rows(store: dict[bytes, bytes | str]) -> np.ndarray[Any, np.dtype[np.float16]]:
    """Return the vectors in the order of their digests."""
    vectors = [store[digest] for digest in sorted(store)]
    return np.array([np.frombuffer(vector, np.float16) for vector in vectors])
