"""Where a backbone's weights lie on this machine, and which weights they are.

A model is a local folder, known by a digest of its files, or a repository of the Hugging Face hub,
known by its commit. Neither depends on where the files lie, so a folder that moves, and a branch
and the tag or commit that it stands for, keep their features.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.loading import one_line
from storage.errors import MocmeError

HUB_TIMEOUT_SECONDS = 10.0
"""How long the hub may stay silent before the local cache is all there is."""

_SIDE_FILES = ("*.json", "*.txt", "*.model")  # configs, vocabularies, SentencePiece models
_MARKS_OF_A_PATH = ("/", "./", "../", "~")


class WeightsError(MocmeError):
    """Weights that cannot be had, or that are not those of the backbone asked for."""


class WeightsNotHereError(WeightsError):
    """Weights that this machine does not have, while only it may be asked."""


@dataclass(frozen=True)
class WeightFiles:
    """Names that a kind of checkpoint gives its weights, as glob patterns.

    Attributes:
        safetensors: Preferred, for they hold nothing but tensors.
        pickled: Taken only where there are no safetensors, and read with `weights_only=True`.
    """

    safetensors: tuple[str, ...]
    pickled: tuple[str, ...]

    def find(self, folder: Path) -> list[Path]:
        """Return the weights that a loader takes from a folder, sorted; none if it has none."""
        return _matching(folder, self.safetensors) or _matching(folder, self.pickled)

    def __str__(self) -> str:
        return ", ".join((*self.safetensors, *self.pickled))


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights found on this machine.

    Attributes:
        folder: Absolute path of the checkpoint.
        identity: The hub's commit, or `sha256:` and the digest of a local folder's names and
            contents.
    """

    folder: Path
    identity: str


def resolve(model: str, revision: str | None, offline: bool, files: WeightFiles) -> ResolvedWeights:
    """Find a model's weights, downloading them if they are on the hub and may be fetched.

    Args:
        model: Absolute path of a folder, or one that begins with `~`; else a hub id
            (`organisation/name`), whatever the working folder holds.
        revision: Commit, tag or branch of a hub id; None is its main branch.
        offline: Whether only this machine may be asked; `HF_HUB_OFFLINE=1` means the same.
        files: What the weights are called.

    Raises:
        WeightsNotHereError: If they are not on this machine and nobody else may be asked.
        WeightsError: If they cannot be had.
    """
    folder = local_folder(model, revision, files)
    if folder is not None:
        return _identify_folder(folder, files)
    return _find_on_hub(model, revision, offline, files)


def local_folder(model: str, revision: str | None, files: WeightFiles) -> Path | None:
    """Return the local folder that a config names as its model; None if it names a hub id.

    Raises:
        WeightsError: If it names a folder that is not there, has no weights, or has a revision.
    """
    folder = Path(model).expanduser()
    if not (folder.is_absolute() and folder.is_dir()):
        if model.startswith(_MARKS_OF_A_PATH):
            raise WeightsError(
                f"model: found '{model}', which is no folder; allowed: an existing one"
            )
        return None
    if revision is not None:
        raise WeightsError(
            f"revision: found '{revision}' beside the local folder {folder}, which has no "
            "revisions; allowed: a revision beside a hub id"
        )
    folder = folder.resolve()
    if not files.find(folder):
        raise WeightsError(f"model: found no weights in the folder {folder}; allowed: {files}")
    return folder


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read one of a checkpoint's JSON files.

    Raises:
        WeightsError: If it is absent or holds no JSON object.
    """
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: cannot read {name}: {error}") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{folder / name}: found no JSON object; allowed: one")
    return found


def _identify_folder(folder: Path, files: WeightFiles) -> ResolvedWeights:
    """Digest the names and contents of all files that a loader may read."""
    digest = hashlib.sha256()
    for path in sorted({*_matching(folder, _SIDE_FILES), *files.find(folder)}):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\n".encode())
    return ResolvedWeights(folder, f"sha256:{digest.hexdigest()}")


def _find_on_hub(
    model: str, revision: str | None, offline: bool, files: WeightFiles
) -> ResolvedWeights:
    """Resolve a hub id to the snapshot of one commit in the hub's local cache."""
    from huggingface_hub import constants, is_offline_mode
    from huggingface_hub.errors import LocalEntryNotFoundError

    offline = offline or is_offline_mode()
    try:
        folder = _fetch_snapshot(model, revision, offline, files)
    except Exception as error:  # the hub's client raises errors that share no base class
        why, kind = one_line(str(error)), WeightsError
        if isinstance(error, LocalEntryNotFoundError):
            why = f"not, or not wholly, in the local cache {constants.HF_HUB_CACHE}"
            kind = WeightsNotHereError if offline else WeightsError
        raise kind(
            f"model: '{model}' is no folder, and its weights cannot be had from the hub (revision: "
            f"{revision or 'main'}; {'offline' if offline else 'online'}): {why}; allowed: a local "
            "folder, or a hub id that is in the local cache or can be downloaded"
        ) from error
    if not files.find(folder):
        kind = WeightsNotHereError if offline else WeightsError
        raise kind(f"model: '{model}' at {folder.name} has no weights; allowed: {files}")
    return ResolvedWeights(folder, folder.name)


def _fetch_snapshot(model: str, revision: str | None, offline: bool, files: WeightFiles) -> Path:
    """Return the snapshot's folder, named after its commit, after downloading what is missing."""
    from huggingface_hub import snapshot_download

    unreachable = None if offline else _why_unreachable(model, revision)
    local_only = offline or unreachable is not None

    def fetch(weights: tuple[str, ...]) -> Path:
        wanted = [*_SIDE_FILES, *weights]
        return Path(
            snapshot_download(
                model, revision=revision, local_files_only=local_only, allow_patterns=wanted
            )
        )

    try:
        folder = fetch(files.safetensors)
        return folder if files.find(folder) else fetch(files.pickled)
    except Exception as error:
        if unreachable is None:
            raise
        raise unreachable from error


def _why_unreachable(model: str, revision: str | None) -> Exception | None:
    """Ask the hub for a revision. Returns why it does not give it, or None if it does.

    A download would retry for minutes before it falls back on the local cache.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(model, revision=revision, timeout=HUB_TIMEOUT_SECONDS)
    except Exception as error:  # whatever it is, the local cache may still have the snapshot
        return error
    return None


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files directly in a folder that match any of the patterns, sorted."""
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
