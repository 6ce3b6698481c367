"""Exported features: what other programs read from them, by id."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file

from storage.features.export import ExportedFeatures, ExportError, mean_by_entity, write_features

IDS = ["cat", "dog", "naïve owl"]


@pytest.fixture(params=["float16", "float32"])
def features(request: pytest.FixtureRequest) -> ExportedFeatures:
    rows = np.random.default_rng(0).standard_normal((3, 5)).astype(request.param)
    return ExportedFeatures(IDS, rows)


def test_npy_with_its_ids(tmp_path: Path, features: ExportedFeatures) -> None:
    files = write_features(tmp_path / "f.npy", features)
    assert files == [tmp_path / "f.npy", tmp_path / "f.ids.txt"]
    found = np.load(files[0])
    assert found.dtype == features.rows.dtype
    np.testing.assert_array_equal(found, features.rows)
    assert files[1].read_text(encoding="utf-8").splitlines() == IDS
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_safetensors_with_their_ids(tmp_path: Path, features: ExportedFeatures) -> None:
    files = write_features(tmp_path / "f.safetensors", features)
    found = load_file(files[0])
    assert list(found) == ["features"]
    assert found["features"].dtype == features.rows.dtype
    np.testing.assert_array_equal(found["features"], features.rows)
    assert files[1].read_text(encoding="utf-8").splitlines() == IDS


def test_parquet_holds_ids_itself(tmp_path: Path, features: ExportedFeatures) -> None:
    assert write_features(tmp_path / "f.parquet", features) == [tmp_path / "f.parquet"]
    found = parquet.read_table(tmp_path / "f.parquet").to_pydict()
    assert found["id"] == IDS
    np.testing.assert_array_equal(np.array(found["features"]), features.rows.astype(np.float32))
    assert list(tmp_path.iterdir()) == [tmp_path / "f.parquet"]


def test_the_mean_over_an_entitys_items() -> None:
    rows = np.array([[1, 2], [3, 4], [10, 20], [7, 7], [8, 8], [9, 9]], dtype=np.float16)
    found = mean_by_entity(ExportedFeatures(["a", "a", "b", "c", "c", "c"], rows))
    assert found.ids == ["a", "b", "c"]
    assert found.rows.tolist() == [[2, 3], [10, 20], [8, 8]]
    assert found.rows.dtype == np.float16


def test_the_mean_of_large_halves_stays_finite() -> None:
    rows = np.full((4, 1), 60_000, dtype=np.float16)
    found = mean_by_entity(ExportedFeatures(["a"] * 4, rows))
    assert found.rows.tolist() == [[float(np.float16(60_000))]]


def test_single_items_keep_every_bit(features: ExportedFeatures) -> None:
    np.testing.assert_array_equal(mean_by_entity(features).rows, features.rows)


@pytest.mark.parametrize("name", ["f.csv", "f", "f.NPY"])
def test_an_unknown_suffix_is_refused(
    tmp_path: Path, features: ExportedFeatures, name: str
) -> None:
    with pytest.raises(ExportError, match=r"allowed: \.npy, \.safetensors, \.parquet"):
        write_features(tmp_path / name, features)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
def test_a_folder_that_is_not_there(
    tmp_path: Path, features: ExportedFeatures, suffix: str
) -> None:
    with pytest.raises(ExportError, match="No such file or directory; allowed"):
        write_features(tmp_path / "none" / f"f{suffix}", features)


def test_what_stood_there_is_kept_if_writing_fails(
    tmp_path: Path, features: ExportedFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_features(tmp_path / "f.npy", features)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", fail)
    with pytest.raises(ExportError, match="No space left"):
        write_features(tmp_path / "f.npy", ExportedFeatures(["x"], features.rows[:1]))
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), features.rows)
    assert (tmp_path / "f.ids.txt").read_text(encoding="utf-8").splitlines() == IDS
    assert len(list(tmp_path.iterdir())) == 2


def test_ids_that_belong_to_no_matrix_here_are_not_replaced(
    tmp_path: Path, features: ExportedFeatures
) -> None:
    ids = tmp_path / "f.ids.txt"
    ids.write_text("the only list of a year's work\n")
    for suffix in (".npy", ".safetensors"):
        with pytest.raises(ExportError, match=r"f\.ids\.txt: found a file, and no f"):
            write_features(tmp_path / f"f{suffix}", features)
    assert ids.read_text() == "the only list of a year's work\n"
    assert list(tmp_path.iterdir()) == [ids]


def test_an_older_export_is_replaced_with_its_ids(
    tmp_path: Path, features: ExportedFeatures
) -> None:
    for ids in (IDS, IDS[::-1]):
        write_features(tmp_path / "f.npy", ExportedFeatures(ids, features.rows))
        assert (tmp_path / "f.ids.txt").read_text(encoding="utf-8").splitlines() == ids
    write_features(tmp_path / "f.safetensors", ExportedFeatures(IDS[::-1], features.rows))
