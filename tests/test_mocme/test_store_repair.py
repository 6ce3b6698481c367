"""`store stats` and `store verify --repair` on a store that an extraction filled."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from small_runs import Command, mocme

from storage.features.store import FeatureStore


def verify(project: Path, *options: str) -> Command:
    return mocme("store", "verify", project / "data/features", "--json", *options)


def extract(project: Path) -> Command:
    return mocme("extract", project / "mocme.yaml", "--json")


def space_of(project: Path, extractor: str) -> Path:
    return next((project / "data/features" / extractor).iterdir())


def flip_a_row(space: Path) -> None:
    """Change one bit of the first vector, wherever it stands in the file."""
    first = digests_in(space)[0]
    with FeatureStore.open_readonly(space) as store:
        row = store.read([first]).tobytes()
    _flip(space, row, offset=len(row) // 2)


def flip_a_header(space: Path) -> None:
    """Make the only block unreadable."""
    _flip(space, b"MCMB", offset=0)


def digests_in(space: Path) -> list[bytes]:
    with (
        lmdb.open(str(space), max_dbs=8, readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return sorted(dict(transaction.cursor(environment.open_db(b"index", transaction))))


def _flip(space: Path, pattern: bytes, offset: int) -> None:
    path = space / "data.mdb"
    data = bytearray(path.read_bytes())
    place, found = data.find(pattern), 0
    while place >= 0:  # LMDB keeps older versions of a page, too
        data[place + offset] ^= 0x10
        found += 1
        place = data.find(pattern, place + 1)
    assert found
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flip_a_row, flip_a_header])
def test_what_is_damaged_is_dropped_and_extracted_again(
    extracted: Path, damage: Callable[[Path], None]
) -> None:
    before = extract(extracted).json["extracted"]
    space = space_of(extracted, "text_hash")
    digests = digests_in(space)
    with FeatureStore.open_readonly(space) as store:
        vectors = store.read(digests)
    damage(space)
    assert verify(extracted).exit_code == 1

    repaired = verify(extracted, "--repair")
    assert repaired.exit_code == 0
    assert repaired.json["problems"]
    assert repaired.json["beyond_repair"] == []
    assert verify(extracted) == Command(0, '{"problems": []}\n', "")
    after = extract(extracted).json["extracted"]
    # counts are of references: texts may be equal, but those of the sample are not
    assert after["text"]["new"] == repaired.json["dropped"] > 0
    assert after["text"]["new"] + after["text"]["cached"] == before["text"]["cached"]
    assert {**after, "text": None} == {**before, "text": None}
    with FeatureStore.open_readonly(space) as store:
        np.testing.assert_array_equal(store.read(digests), vectors)


def test_a_repair_says_what_comes_next(extracted: Path) -> None:
    flip_a_row(space_of(extracted, "text_hash"))
    command = mocme("store", "verify", extracted / "data/features", "--repair")
    assert "vectors dropped; `mocme extract CONFIG` makes them anew" in command.stdout


def test_a_sound_store_is_left_as_it_is(extracted: Path) -> None:
    def content() -> list[str]:
        paths = sorted((extracted / "data/features").rglob("data.mdb"))
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    before = content()
    assert verify(extracted, "--repair").json == {"problems": [], "dropped": 0, "beyond_repair": []}
    assert content() == before


def test_damaged_pages_are_beyond_repair_and_nothing_is_touched(extracted: Path) -> None:
    space = space_of(extracted, "numeric")
    flip_a_row(space_of(extracted, "text_hash"))
    path = space / "data.mdb"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    command = verify(extracted, "--repair")
    assert command.exit_code == 1
    assert command.json["beyond_repair"] == [str(space)]
    assert command.json["dropped"] == 1
    assert path.stat().st_size == len(data) // 2
    shown = mocme("store", "verify", extracted / "data/features", "--repair").stdout
    assert "beyond repair; restore it from a copy, or delete the folder" in shown


def test_what_cannot_be_read_is_no_damage(extracted: Path) -> None:
    path = space_of(extracted, "numeric") / "data.mdb"
    path.unlink()
    os.mkfifo(path)
    command = verify(extracted, "--repair")
    assert command.exit_code == 2
    assert command.json["problems"] == command.json["beyond_repair"] == []
    assert list(command.json["unread"]) == [str(path.parent)]
    shown = mocme("store", "verify", extracted / "data/features", "--repair")
    assert shown.exit_code == 2
    assert f"{path}: found no regular file" in shown.stderr
    assert "delete" not in shown.stdout + shown.stderr
    assert "sound" not in shown.stdout


def test_statistics_tell_reasons_and_bytes(extracted: Path) -> None:
    store = extracted / "data/features"
    spaces = mocme("store", "stats", store, "--json").json["spaces"]
    for space in spaces:
        assert sum(space["failures_by_reason"].values()) == space["num_failures"]
        assert space["bytes_per_vector"] * space["num_rows"] == pytest.approx(
            space["bytes_on_disk"]
        )
        size = (store / space["extractor"] / space["fingerprint"] / "data.mdb").stat().st_size
        assert space["bytes_on_disk"] == size
        assert 0 <= space["dead_bytes"] < size - space["bytes_of_rows"]
    reasons = [reason for space in spaces for reason in space["failures_by_reason"]]
    assert reasons
    printed = mocme("store", "stats", store).stdout
    assert all(reason[:20] in printed for reason in reasons)


def test_dropped_vectors_become_dead_bytes(extracted: Path) -> None:
    space = space_of(extracted, "text_hash")
    with FeatureStore.open_readonly(space) as store:
        before = store.statistics()
    flip_a_header(space)
    verify(extracted, "--repair")
    with FeatureStore.open_readonly(space) as store:
        after = store.statistics()
    assert after.num_rows == 0
    assert after.bytes_per_vector == 0
    assert after.dead_bytes - before.dead_bytes > before.bytes_of_rows
