"""The figures of a report as files: which of them are there from an earlier report, and go."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model.runs.run_files import FORMAT
from storage.atomic import write_whole
from storage.checksums import describe, is_as_described
from storage.errors import MocmeError
from storage.owned import check_readable_file, delete_own_files, is_own_file, own_folder

FIGURE_SUFFIXES = (".svg", ".png", ".csv")

_NAMES = re.compile(
    r"(metrics|per_relation|per_modality|per_side|calibration|loss|valid_mrr|egns_shares"
    r"|egns_held_out|modality_shares|modality_information|modality_relevance"
    r"|expert_information_\d+|block_shares|coverage|heard|failures)"
)
"""Names of all figures that a report can have."""


def is_figure_file(name: str) -> bool:
    """Whether a file's name is one that a report's figure can have."""
    path = Path(name)
    is_bare = path.name == name and path.suffix in FIGURE_SUFFIXES
    return is_bare and _NAMES.fullmatch(path.stem) is not None


def delete_old_figures(folder: Path, manifest: Path, drawn: Iterable[str]) -> None:
    """Delete the figures that an earlier report has left, and that nobody has changed since.

    Args:
        folder: Of the figures.
        manifest: What the earlier report said that it drew.
        drawn: Names of the figures that there are now.
    """
    kept = {f"{name}{suffix}" for name in drawn for suffix in FIGURE_SUFFIXES}
    left = {name: it for name, it in _read(manifest).items() if is_figure_file(name)}
    old = [name for name in left if name not in kept and is_own_file(folder, name)]
    delete_own_files(folder, [it for it in old if is_as_described(folder / it, left[it])])


def remember_figures(folder: Path, manifest: Path, drawn: Iterable[str]) -> None:
    """Write down which figures were drawn, and with what bytes."""
    names = [f"{name}{suffix}" for name in sorted(drawn) for suffix in FIGURE_SUFFIXES]
    figures = {name: describe(folder / name) for name in names}
    own_folder(manifest.parent)
    write_whole(manifest, json.dumps({"format": FORMAT, "figures": figures}, indent=1) + "\n")


def _read(manifest: Path) -> Mapping[str, Any]:
    """Return what was drawn; nothing, if that cannot be told."""
    try:
        check_readable_file(manifest)
        found = json.loads(manifest.read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, MocmeError):
        return {}
    return found if isinstance(found, Mapping) else {}
