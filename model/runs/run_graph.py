"""The graph that a run was trained on, read back without torch."""

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from model.runs.run_files import GRAPH_FILE, TRIPLES_FILE, reading
from storage.datasets.graph import SPLITS, Graph

OPTIONAL_ARRAYS = ("negatives", "uncertain", "confidences")
"""Arrays of a graph beside its splits, which most graphs lack."""


def read_run_graph(root: Path) -> Graph:
    """Read the graph of a run's folder.

    Args:
        root: The run's folder.

    Raises:
        DamagedFileError: If a file is not as the training left it.
        FileError: If a file is absent or cannot be read.
    """
    with reading(root / GRAPH_FILE):
        strings = json.loads((root / GRAPH_FILE).read_text(encoding="utf-8"))
        parts: dict[str, Any] = {
            name: tuple(strings[name]) for name in ("entities", "names", "relations")
        }
        parts["kinds"] = tuple(map(tuple, strings.get("kinds", ())))
        parts["split_by_hash"] = strings.get("split_by_hash", False)
    with reading(root / TRIPLES_FILE):
        arrays = load_file(root / TRIPLES_FILE)
        parts |= {it: arrays[it] for it in (*SPLITS, *OPTIONAL_ARRAYS) if it in arrays}
        return Graph(**parts)
