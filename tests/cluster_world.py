"""A dataset whose items take their time, and runs of its extraction by a cluster."""

import json
from pathlib import Path

import numpy as np
import plain_store
import yaml
from PIL import Image

from storage.features.store import feature_spaces

NUM_PICTURES = 80
SHARD_SIZE = 10


def write_pictures(root: Path, side: int) -> None:
    """Write a dataset of noisy pictures, every tenth of which is broken, and its config."""
    root.mkdir()
    rng = np.random.default_rng(0)
    entities = []
    for number in range(NUM_PICTURES):
        path = root / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
        if number % 10 == 0:
            path.write_bytes(path.read_bytes()[: 200 + number])
        entities.append({"id": f"e{number}", "image": path.name, "numeric": {f"a{number}": 1}})
    (root / "entities.jsonl").write_text("\n".join(map(json.dumps, entities)))
    for split in ("train", "valid", "test"):
        (root / f"{split}.tsv").write_text("e0\tbeside\te1\n")
    modalities = {"image": {"extractor": "image_stats"}, "numeric": {"extractor": "numeric"}}
    extract = {"batch_size": 2, "num_workers": 1, "shard_size": SHARD_SIZE}
    config = {"dataset": ".", "store": "store", "modalities": modalities, "extract": extract}
    (root / "mocme.yaml").write_text(yaml.safe_dump(config))


def contents(store: Path) -> dict[str, dict[bytes, bytes | str]]:
    """Return what each of a store's feature spaces holds."""
    spaces = feature_spaces(store)
    return {f"{it.parent.name}/{it.name}": plain_store.contents(it) for it in spaces}
