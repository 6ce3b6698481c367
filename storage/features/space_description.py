"""Which feature space a store holds, as its meta sub-database says; nothing there is trusted."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import lmdb

from storage.atomic import new_file
from storage.errors import DamagedStoreError, StoreError
from storage.features.environment import Environment, Transaction
from storage.features.layout import DATABASES, FORMAT_KEY, FORMAT_VERSION, SPACE_KEY
from storage.features.pages import DATA_FILE
from storage.features.space import FeatureDtype, FeatureLayout, FeatureSpace

MAX_DIM = 2**24


def create_space(directory: Path, space: FeatureSpace) -> None:
    """Make the file of a space in its folder: it appears with its description, or not at all.

    So whoever copies or checks the store meanwhile meets no space that says nothing of itself.
    Where another process was faster, or the disk has no hard links, nothing is done.

    Raises:
        OSError, lmdb.Error: If the file cannot be written.
    """
    with new_file(directory / DATA_FILE) as file:
        # nobody else knows the file's name: it needs no lock
        with lmdb.open(str(file), subdir=False, lock=False, max_dbs=len(DATABASES)) as raw:
            databases = {name: raw.open_db(name.encode()) for name in DATABASES}
            with raw.begin(write=True) as transaction:
                _put(transaction, databases["meta"], space)
        with suppress(OSError):
            os.link(file, directory / DATA_FILE)


def describe_space(environment: Environment, space: FeatureSpace) -> None:
    """Write a space's description into a store that has none.

    Raises:
        StoreError: If the store holds another space.
    """
    if _read(environment, SPACE_KEY) is None:
        environment.write(lambda txn: _put(txn, environment.database("meta"), space))
    require_space(environment, space)


def require_space(environment: Environment, space: FeatureSpace) -> FeatureSpace:
    """Return the space that a store holds.

    Raises:
        StoreError: If it is another one than the given, or cannot be told.
    """
    found = read_space(environment)
    if found.describe() != json.loads(_text(space)):
        raise StoreError(
            f"{environment.directory}: found the vectors of another feature space; "
            "allowed: those of the space that names the folder"
        )
    return found


def read_space(environment: Environment) -> FeatureSpace:
    """Return the space that a store holds.

    Raises:
        DamagedStoreError: If its description is invalid.
        StoreError: If that is absent, or of another version.
    """
    version, text = _read(environment, FORMAT_KEY), _read(environment, SPACE_KEY)
    if version != FORMAT_VERSION or text is None:
        raise StoreError(
            f"{environment.directory}: found a store of format {version!r}; "
            f"allowed: {FORMAT_VERSION!r}"
        )
    return _parse(environment.directory, text)


def _put(transaction: Transaction, meta: Any, space: FeatureSpace) -> None:
    transaction.put(FORMAT_KEY, FORMAT_VERSION, db=meta, overwrite=False)
    transaction.put(SPACE_KEY, _text(space), db=meta, overwrite=False)


def _text(space: FeatureSpace) -> bytes:
    return json.dumps(space.describe(), sort_keys=True).encode()


def _read(environment: Environment, key: bytes) -> bytes | None:
    with environment.read() as snapshot:
        value = snapshot.get(key, db=environment.database("meta"))
        return None if value is None else bytes(value)


def _parse(directory: Path, text: bytes) -> FeatureSpace:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedStoreError(f"{directory}: its description is no JSON: {error}") from error
    allowed: dict[str, Any] = {
        "extractor": lambda value: isinstance(value, str),
        "parts": lambda value: isinstance(value, dict),
        "dim": lambda value: type(value) is int and 1 <= value <= MAX_DIM,
        "dtype": lambda value: value in get_args(FeatureDtype),
        "layout": lambda value: value in get_args(FeatureLayout),
    }
    if not isinstance(found, dict) or found.keys() != allowed.keys():
        raise DamagedStoreError(
            f"{directory}: its description must have the keys {', '.join(allowed)}"
        )
    wrong = next((key for key, is_allowed in allowed.items() if not is_allowed(found[key])), None)
    if wrong is not None:
        raise DamagedStoreError(f"{directory}: found the description's {wrong} = {found[wrong]!r}")
    return FeatureSpace(**found)
