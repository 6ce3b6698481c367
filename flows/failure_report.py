"""Every failed item of the last extraction in one file, for scripts and for mending."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from extractors.report import Extraction
from storage.atomic import write_whole
from storage.errors import MocmeError
from storage.files.owned import is_own_file

FAILURES_FILE = "failures.jsonl"
_KEYS = {"modality", "entity", "item", "reason", "lasting"}
_LONGEST_LINE = 1 << 20  # bytes


class FailureReportError(MocmeError):
    """A folder that a report cannot be written to."""


def write_failures(runs: Path, extractions: Mapping[str, Extraction]) -> Path | None:
    """Replace the report in the folder of the runs, at once; there is none if nothing failed.

    One JSON object a line: `modality`, `entity`, `item` (the file's path as listed, or the fields
    that were read), `reason`, `lasting` (whether only `retry_failed` tries again).

    Args:
        runs: Folder of the runs.
        extractions: Of each modality, by name.

    Returns:
        The report's path, if anything failed.

    Raises:
        FailureReportError: If the report cannot be written.
    """
    path = runs / FAILURES_FILE
    lines = [
        json.dumps({"modality": name, **asdict(failure)}) + "\n"
        for name, extraction in extractions.items()
        for failure in extraction.failures
    ]
    try:
        if not lines:
            if _is_report(path):
                path.unlink(missing_ok=True)
            return None
        if os.path.lexists(path) and not _is_report(path):
            raise FailureReportError(
                f"{path}: found another file; allowed: none, or one that mocme has written"
            )
        runs.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(lines))
    except OSError as error:
        raise FailureReportError(
            f"{path}: found {error.strerror}; allowed: a `runs` folder that can be written to"
        ) from error
    return path


def _is_report(path: Path) -> bool:
    """Whether a plain file begins as a report does, or is empty."""
    if not is_own_file(path.parent, path.name):
        return False
    with path.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        return not line or json.loads(line).keys() == _KEYS
    except (ValueError, AttributeError, RecursionError):
        return False
