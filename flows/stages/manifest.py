"""Manifests: what a finished stage was made from, and which files it left.

Each owner names its files here; a manifest says which of them were left, and with what bytes. It
never adds a name: whatever else it lists is neither looked at nor deleted.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.stages.keys import Stage
from model.runs.run_files import DERIVED, FORMAT, OUTPUTS, check_format
from storage.atomic import write_whole
from storage.files.checksums import SEAL, seal
from storage.files.file_errors import read_errors, write_errors
from storage.files.owned import check_readable_file

EVALUATION_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.tsv"

OUTPUTS_OF: Mapping[Stage, tuple[str, ...]] = {
    "train": OUTPUTS,
    "evaluate": (EVALUATION_FILE,),
    "predict": (PREDICTIONS_FILE,),
}
"""Names of the files that a stage leaves in a run's folder, where it leaves them."""

NEEDED_OF: Mapping[Stage, tuple[str, ...]] = {
    stage: tuple(name for name in names if name not in DERIVED)
    for stage, names in OUTPUTS_OF.items()
}
"""Those of them without which a stage must run again."""

_SEALED = ("key", "parts", "outputs")
_TYPES = {"key": str, "parts": dict, "outputs": dict, "finished_at": str, "sequence": int}


@dataclass(frozen=True)
class Manifest:
    """What a finished stage was made from and what it left.

    Attributes:
        key: Digest of the stage's key.
        parts: Parts of the key.
        outputs: Size and checksum of each file it left, by path relative to the run's folder.
        seconds: How long it took.
        finished_at: When, in ISO 8601, UTC, by the clock of the machine.
        versions: Versions of what it was made with.
        sequence: Of runs in one folder, the one with the largest was trained or found fresh last.
        format: Format of the run's folder.
    """

    key: str
    parts: Mapping[str, Any]
    outputs: Mapping[str, Any]
    seconds: float
    finished_at: str
    versions: Mapping[str, str]
    sequence: int = 0
    format: int = FORMAT

    def write(self, path: Path) -> None:
        """Write it.

        Raises:
            FileError: If the system fails to write it.
        """
        whole = asdict(self)
        text = json.dumps({**whole, SEAL: seal(whole, _SEALED)}, indent=1)
        with write_errors(path):
            write_whole(path, f"{text}\n")


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None if there is none.

    Raises:
        OtherFormatError: If another version of mocme wrote it.
        DamagedFileError: If it is damaged.
        FileError: If it cannot be read.
    """
    with read_errors(path, "`mocme run CONFIG` writes it anew"):
        try:
            check_readable_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise TypeError("no object")
        check_format(path, value)
        checksum = value.pop(SEAL, None)
        if checksum != seal(value, _SEALED):
            raise ValueError("its checksum does not match")
        manifest = Manifest(**value)
        for name, kind in _TYPES.items():
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(f"its '{name}' is no {kind.__name__}")
        return manifest
