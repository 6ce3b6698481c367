"""Features that somebody else has extracted: rows of a published file, by the ids of a list.

To the store, the file is to these vectors what weights are to others: its digest is in the
fingerprint. An item is an entity's id, and its vector is the row of that id.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, MediaError, RawContent
from extractors.media.feature_file import (
    FeatureFile,
    FeatureFileError,
    read_feature_file,
    require_file,
)
from storage.datasets.reading.lines import numbered_lines
from storage.datasets.reading.openke import ENTITIES_FILE, read_names
from storage.files.file_access import open_regular
from storage.words.id_list import read_ids

_ROWS_AT_ONCE = 4096
_MOST_NAMED = 3  # ids that a message lists


class ImportedConfig(ExtractorConfig):
    """Config of `imported`."""

    file: Path = Field(
        description="File of the features: .npy, .npz, .safetensors, .pth, .pt or .h5."
    )
    ids: Path | None = Field(
        None,
        description=f"File of the rows' ids in their order, one a line, or an {ENTITIES_FILE}; "
        "null = the file of the features holds each vector by its id.",
    )
    key: str | None = Field(
        None,
        min_length=1,
        description="Name of the matrix in a file that holds several arrays.",
    )
    ignore_unknown: bool = Field(
        False, description="Whether ids that no entity has are left out, and are no error."
    )


class Imported(Extractor[ImportedConfig, NDArray[np.float32]]):
    """Looks an entity's row up; entities that the ids do not name are missing."""

    name = "imported"
    modality = "imported"
    item_kind = "text"
    default_fields = ("id",)
    fixed_dtype = "float32"
    decodes_in_workers = False
    Config = ImportedConfig

    def check(self) -> None:
        """Refuse a file or a list of ids that is absent, or is no file."""
        for path in filter(None, (self.config.file, self.config.ids)):
            require_file(path)

    def prepare(self, contents: Iterable[RawContent]) -> None:
        """Refuse ids that are no entity's, unless they are to be left out.

        Raises:
            FeatureFileError: If there are any, or none but those.
        """
        known = {str(content) for content in contents}
        unknown = [name for name in self._row_of if name not in known]
        if not unknown or (self.config.ignore_unknown and len(unknown) < len(self._row_of)):
            return
        shown = ", ".join(repr(name) for name in unknown[:_MOST_NAMED])
        raise FeatureFileError(
            f"{self.config.ids or self.config.file}: found {len(unknown)} of {len(self._row_of)} "
            f"ids that are no entity's: {shown}{', ...' if len(unknown) > _MOST_NAMED else ''}; "
            "allowed: ids of the dataset's entities, at least one; `ignore_unknown` leaves the "
            "others out"
        )

    def covers(self, content: RawContent) -> bool:
        """Whether the ids name an entity."""
        return str(content) in self._row_of

    @property
    def dim(self) -> int:
        """Length of the file's rows."""
        return int(self._table.rows.shape[1])

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return the digests of the file and of the list of ids."""
        ids = self.config.ids
        return {
            "file": _digest(self.config.file),
            "ids": None if ids is None else _digest(ids),
            "key": self.config.key,
        }

    def load(self, content: RawContent) -> NDArray[np.float32]:
        """Return the row of an id. Shape: (dim,).

        Raises:
            MediaError: If the ids do not name it.
            FeatureFileError: If the row holds NaN or infinity: then the whole file is refused.
        """
        if not self.covers(content):
            raise MediaError(f"{str(content)!r:.60} is none of the imported ids")
        row = _as_float32(self._table.rows[self._row_of[str(content)]])
        if not np.isfinite(row).all():
            raise self._not_finite()
        return row

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack the rows. Shape: (len(batch), dim)."""
        return np.stack(batch)

    @cached_property
    def _table(self) -> FeatureFile:
        return read_feature_file(self.config.file, self.config.key)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        """The row of each id.

        Raises:
            FeatureFileError: If the ids are not one for each row, and each once.
        """
        file, ids = self.config.file, self.config.ids
        names = _read_ids(ids) if ids is not None else self._table.ids
        if names is None:
            raise FeatureFileError(
                f"{file}: found a matrix, whose rows have no ids; allowed: `ids: FILE` beside it, "
                "one id a line in the order of the rows"
            )
        if len(names) != len(self._table.rows):
            raise FeatureFileError(
                f"{ids}: found {len(names)} ids; allowed: {len(self._table.rows)}, one for each "
                f"row of {file}"
            )
        row_of = {name: row for row, name in enumerate(names)}
        if len(row_of) < len(names):
            twice = next(name for row, name in enumerate(names) if row_of[name] != row)
            raise FeatureFileError(
                f"{ids or file}: found {len(names) - len(row_of)} ids that stand there before, "
                f"the first one {twice!r}; allowed: each id once"
            )
        return row_of

    def _not_finite(self) -> FeatureFileError:
        """Count the rows that hold NaN or infinity."""
        rows, num_bad = self._table.rows, 0
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = _as_float32(rows[start : start + _ROWS_AT_ONCE])
            num_bad += int((~np.isfinite(part).all(axis=1)).sum())
        return FeatureFileError(
            f"{self.config.file}: found NaN, infinity or numbers beyond float32 in {num_bad} of "
            f"{len(rows)} rows; allowed: finite numbers"
        )

    def __getstate__(self) -> dict[str, Any]:
        heavy = ("_table", "_row_of")
        return {key: value for key, value in self.__dict__.items() if key not in heavy}


def _read_ids(path: Path) -> tuple[str, ...]:
    """Read a list of ids, or the names of an OpenKE file by their indices."""
    if path.exists():
        require_file(path)
    if path.name == ENTITIES_FILE:
        return tuple(name for name, _ in read_names(path))
    return read_ids([line for _, line in numbered_lines(path, "one id a line")])


def _digest(path: Path) -> str:
    require_file(path)
    try:
        with open_regular(path) as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise FeatureFileError(f"{path}: found {error.strerror}; allowed: a file") from error


def _as_float32(rows: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float32)
