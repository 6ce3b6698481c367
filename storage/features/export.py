"""Stored features as files that other programs read: a row and an id for each entity or item."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage.atomic import replacing
from storage.errors import MocmeError
from storage.features.block import Rows
from storage.words.id_list import ids_text


class ExportError(MocmeError):
    """Features that cannot be written as asked."""


@dataclass(frozen=True)
class ExportedFeatures:
    """Rows and what they belong to.

    Attributes:
        ids: Entity ids, in the order of the rows; one that has several rows stands several times.
        rows: Shape: (len(ids), dim).
    """

    ids: Sequence[str]
    rows: Rows


def mean_by_entity(features: ExportedFeatures) -> ExportedFeatures:
    """Return one row for each entity: the mean over its rows, which must stand together."""
    ids = np.array(features.ids, dtype=object)
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
    if len(starts) == len(ids):
        return features
    sums = np.add.reduceat(features.rows, starts, axis=0, dtype=np.float32)
    sums /= np.diff(np.append(starts, len(ids)))[:, np.newaxis]
    means: Any = sums.astype(features.rows.dtype)
    return ExportedFeatures(ids[starts].tolist(), means)


def check_suffix(path: Path) -> None:
    """Refuse a file of no known kind.

    Raises:
        ExportError: If the suffix is none of `.npy`, `.safetensors`, `.parquet`.
    """
    if path.suffix not in _WRITERS:
        allowed = ", ".join(_WRITERS)
        raise ExportError(f"{path}: found the suffix '{path.suffix}'; allowed: {allowed}")


def files_of(path: Path) -> list[Path]:
    """Return the files that an export to `path` makes: itself, and its ids if it holds none."""
    return [path] if path.suffix == ".parquet" else [path, path.with_suffix(".ids.txt")]


def write_features(path: Path, features: ExportedFeatures) -> list[Path]:
    """Write features; each file takes its place whole or not at all.

    `.npy` and `.safetensors` (tensor `features`) hold the matrix, in the store's dtype, and a file
    of the same name with `.ids.txt` the ids, as `storage.words.id_list` has them, in the order of
    the rows. `.parquet` has the columns `id` and `features` (a list of float32), in the same order.

    An older file at `path` that this has written is replaced, and its ids with it. Any other stays,
    and so do ids that stand there without it.

    Args:
        path: The file; its suffix says what it is.
        features: What to write.

    Returns:
        The files that were written.

    Raises:
        ExportError: If the suffix is not known, a library is absent, a file cannot be written, or
            another one stands in its place.
    """
    check_suffix(path)
    ids_file = path.with_suffix(".ids.txt")
    has_ids = path.suffix == ".parquet"
    lines = ids_text(features.ids)
    try:
        _require_own(path, ids_file)
        if has_ids:
            with replacing(path) as temporary:
                _WRITERS[path.suffix](temporary, features)
            return [path]
        _require_no_others_ids(path, ids_file, lines)
        with replacing(path) as temporary, replacing(ids_file) as temporary_ids:  # the ids first
            temporary_ids.write_text(lines, encoding="utf-8", newline="\n")
            _WRITERS[path.suffix](temporary, features)
    except ImportError as error:
        raise ExportError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise ExportError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error
    return [path, ids_file]


def _require_own(path: Path, ids_file: Path) -> None:
    """Refuse to replace a file that is not as this writes it; an empty one may go."""
    if not os.path.lexists(path):
        return
    if not path.is_file() or (path.stat().st_size and not _is_own(path, ids_file)):
        raise ExportError(
            f"{path}: found another file; allowed: another name, or a file that mocme has "
            "exported, which is replaced"
        )


def _is_own(path: Path, ids_file: Path) -> bool:
    if path.suffix == ".parquet":
        return _columns(path) == ["id", "features"]
    return ids_file.is_file() and (path.suffix == ".npy" or _tensors(path) == ["features"])


def _columns(path: Path) -> list[str]:
    """Return the names of a file's columns, none if it is no Parquet."""
    from pyarrow import parquet

    try:
        names: list[str] = parquet.read_schema(path).names
    except ValueError:
        return []
    return names


def _tensors(path: Path) -> list[str]:
    """Return the names of a file's tensors, none if it is no safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return list(file.keys())
    except SafetensorError:
        return []


def _require_no_others_ids(path: Path, ids_file: Path, lines: str) -> None:
    """Refuse to replace a file that nobody has named: ids without the matrix at `path`."""
    if os.path.lexists(path) or not os.path.lexists(ids_file):
        return
    is_same = ids_file.is_file() and ids_file.read_bytes() == lines.encode()
    if not is_same:
        raise ExportError(
            f"{ids_file}: found a file, and no {path.name} that it belongs to; allowed: another "
            "name, or delete it first"
        )


def _write_npy(path: Path, features: ExportedFeatures) -> None:
    with path.open("wb") as file:
        np.save(file, features.rows, allow_pickle=False)


def _write_safetensors(path: Path, features: ExportedFeatures) -> None:
    from safetensors.numpy import save

    path.write_bytes(save({"features": np.ascontiguousarray(features.rows)}))


def _write_parquet(path: Path, features: ExportedFeatures) -> None:
    import pyarrow
    from pyarrow import parquet

    flat = pyarrow.array(features.rows.astype(np.float32).ravel())
    rows = pyarrow.FixedSizeListArray.from_arrays(flat, features.rows.shape[1])
    ids = pyarrow.array(list(features.ids), pyarrow.string())
    parquet.write_table(pyarrow.table({"id": ids, "features": rows}), path)


_WRITERS: Mapping[str, Callable[[Path, ExportedFeatures], None]] = {
    ".npy": _write_npy,
    ".safetensors": _write_safetensors,
    ".parquet": _write_parquet,
}
