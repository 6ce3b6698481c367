"""Stored features as files that other programs read: a row and an id for each entity or item."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage.atomic import replacing
from storage.errors import MocmeError
from storage.features.block import Rows
from storage.id_list import ids_text


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


def write_features(path: Path, features: ExportedFeatures) -> list[Path]:
    """Write features; each file takes its place whole or not at all.

    `.npy` and `.safetensors` (tensor `features`) hold the matrix, in the store's dtype, and a file
    of the same name with `.ids.txt` the ids, as `storage.id_list` has them, in the order of the
    rows. `.parquet` has
    the columns `id` and `features` (a list of float32), in the same order.

    Args:
        path: The file; its suffix says what it is.
        features: What to write.

    Returns:
        The files that were written.

    Raises:
        ExportError: If the suffix is not known, a library is absent, or a file cannot be written.
    """
    check_suffix(path)
    ids_file = path.with_suffix(".ids.txt")
    has_ids = path.suffix == ".parquet"
    try:
        with replacing(path) as temporary:
            _WRITERS[path.suffix](temporary, features)
            if not has_ids:
                with replacing(ids_file) as temporary_ids:
                    temporary_ids.write_text(ids_text(features.ids), encoding="utf-8", newline="\n")
    except ImportError as error:
        raise ExportError(
            f"{path}: found {error}; allowed: pip install 'mocme[files]', which writes it"
        ) from error
    except OSError as error:
        raise ExportError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error
    return [path] if has_ids else [path, ids_file]


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
