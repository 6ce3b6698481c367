"""The files of a report: which of them are there from an earlier one, and go or are replaced."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.runs.run_files import FORMAT
from storage.atomic import write_whole
from storage.errors import MocmeError
from storage.files.checksums import describe, is_as_described
from storage.files.keeping import replace_own
from storage.files.owned import check_readable_file, delete_own_files, is_own_file, own_folder

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


@dataclass(frozen=True)
class ReportFiles:
    """What a report wrote, each by name with its size and checksum.

    Attributes:
        figures: The files of its figures.
        page: The page; None if there was none.
    """

    figures: Mapping[str, Any]
    page: Any = None

    @classmethod
    def read(cls, manifest: Path) -> "ReportFiles":
        """Read what an earlier report said that it wrote; nothing, if that cannot be told."""
        try:
            check_readable_file(manifest)
            found = json.loads(manifest.read_text(encoding="utf-8"))
            named = {name: it for name, it in found["figures"].items() if is_figure_file(name)}
            return cls(named, found.get("page"))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return cls({})
        except MocmeError:  # no plain file
            return cls({})

    def write(self, manifest: Path) -> None:
        """Write it down, for the next report."""
        own_folder(manifest.parent)
        whole = {"format": FORMAT, "figures": self.figures, "page": self.page}
        write_whole(manifest, json.dumps(whole, indent=1) + "\n")


def write_figures(folder: Path, drawn: Mapping[str, bytes], earlier: ReportFiles) -> ReportFiles:
    """Write the figures of a report, and delete those of an earlier one that it has not.

    A file that is not as the earlier report left it stays: where its name is needed, it is moved
    to `kept/`.

    Args:
        folder: Of the figures.
        drawn: What their files are to hold, by name.
        earlier: What the earlier report wrote.
    """
    for name, content in drawn.items():
        replace_own(folder / name, content, earlier.figures.get(name))
    old = [it for it in earlier.figures if it not in drawn and is_own_file(folder, it)]
    delete_own_files(
        folder, [it for it in old if is_as_described(folder / it, earlier.figures[it])]
    )
    return ReportFiles({name: describe(folder / name) for name in drawn})
