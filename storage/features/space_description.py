"""Which feature space a store holds, as its meta sub-database says; nothing there is trusted."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from storage.errors import StoreError
from storage.features.environment import DATA_FILE, Environment, Transaction, open_environment
from storage.features.layout import DATABASES, FORMAT_KEY, FORMAT_VERSION, SPACE_KEY
from storage.features.space import FeatureDtype, FeatureLayout, FeatureSpace
from storage.features.trash import scratch_folder

MAX_DIM = 2**24


def create_space(directory: Path, space: FeatureSpace) -> None:
    """Make the file of a space in its folder: it appears with its description, or not at all.

    So whoever copies or checks the store meanwhile meets no space that says nothing of itself.
    Where another process was faster, or the disk has no hard links, nothing is done.
    """
    with scratch_folder(directory.parents[1]) as folder:
        environment = open_environment(folder, DATABASES, writable=True)
        try:
            describe_space(environment, space)
        finally:
            environment.release()
        with suppress(OSError):
            os.link(folder / DATA_FILE, directory / DATA_FILE)


def describe_space(environment: Environment, space: FeatureSpace) -> None:
    """Write a space's description into a store that has none.

    Raises:
        StoreError: If the store holds another space.
    """
    expected = json.dumps(space.describe(), sort_keys=True).encode()

    def body(transaction: Transaction) -> None:
        meta = environment.database("meta")
        transaction.put(FORMAT_KEY, FORMAT_VERSION, db=meta, overwrite=False)
        transaction.put(SPACE_KEY, expected, db=meta, overwrite=False)

    if _read(environment, SPACE_KEY) is None:
        environment.write(body)
    if read_space(environment).describe() != json.loads(expected):
        raise StoreError(
            f"{environment.directory}: found the vectors of another feature space; "
            "allowed: those of the space that names the folder"
        )


def read_space(environment: Environment) -> FeatureSpace:
    """Return the space that a store holds.

    Raises:
        StoreError: If its description is absent, of another version, or invalid.
    """
    version, text = _read(environment, FORMAT_KEY), _read(environment, SPACE_KEY)
    if version != FORMAT_VERSION or text is None:
        raise StoreError(
            f"{environment.directory}: found a store of format {version!r}; "
            f"allowed: {FORMAT_VERSION!r}"
        )
    return _parse(environment.directory, text)


def _read(environment: Environment, key: bytes) -> bytes | None:
    with environment.read() as snapshot:
        value = snapshot.get(key, db=environment.database("meta"))
        return None if value is None else bytes(value)


def _parse(directory: Path, text: bytes) -> FeatureSpace:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{directory}: its description is no JSON: {error}") from error
    allowed: dict[str, Any] = {
        "extractor": lambda value: isinstance(value, str),
        "parts": lambda value: isinstance(value, dict),
        "dim": lambda value: type(value) is int and 1 <= value <= MAX_DIM,
        "dtype": lambda value: value in get_args(FeatureDtype),
        "layout": lambda value: value in get_args(FeatureLayout),
    }
    if not isinstance(found, dict) or found.keys() != allowed.keys():
        raise StoreError(f"{directory}: its description must have the keys {', '.join(allowed)}")
    wrong = next((key for key, is_allowed in allowed.items() if not is_allowed(found[key])), None)
    if wrong is not None:
        raise StoreError(f"{directory}: found the description's {wrong} = {found[wrong]!r}")
    return FeatureSpace(**found)
