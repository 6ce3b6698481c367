"""Published feature files: every format to the same vectors, and everything doubtful refused."""

import io
import os
import pickle
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from extraction_world import OPTIONS, World
from numpy.typing import NDArray
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from extractors.base import Runtime
from extractors.extraction import Counts, Extraction
from extractors.media.feature_file import FeatureFileError, read_feature_file
from extractors.registry import build_extractor
from storage.errors import DatasetError, MocmeError
from storage.features.store import FeatureStore

IDS = ["cat", "dog", "naïve owl", "http://a.b/c d"]
ROWS = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)


def by_id() -> dict[str, NDArray[np.float32]]:
    return dict(zip(IDS, ROWS, strict=True))


def write_hdf5(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def tensors(arrays: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}


MATRICES: dict[str, Callable[[Path], None]] = {
    "f.npy": lambda path: np.save(path, ROWS),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(ROWS)),
    "bigendian.npy": lambda path: np.save(path, ROWS.astype(">f4")),
    "double.npy": lambda path: np.save(path, ROWS.astype(np.float64)),
    "f.npz": lambda path: np.savez(path, ROWS),
    "small.npz": lambda path: np.savez_compressed(path, features=ROWS),
    "f.safetensors": lambda path: save_file({"x": ROWS}, path),
    "f.pth": lambda path: torch.save(torch.tensor(ROWS), path),
    "F.PT": lambda path: torch.save(torch.tensor(ROWS), path),
    "old.pth": lambda path: torch.save(
        torch.tensor(ROWS), path, _use_new_zipfile_serialization=False
    ),
    "list.pth": lambda path: torch.save(list(torch.tensor(ROWS)), path),
    "parameter.pth": lambda path: torch.save(
        {"weight": torch.nn.Parameter(torch.tensor(ROWS)), "epoch": 3, "note": "x"}, path
    ),
    "f.h5": lambda path: write_hdf5(path, {"group/features": ROWS}),
}

DICTS: dict[str, Callable[[Path], None]] = {
    "f.pth": lambda path: torch.save(tensors(by_id()), path),
    "rows.pth": lambda path: torch.save(
        {name: torch.tensor(row)[None] for name, row in by_id().items()}, path
    ),
    "f.npz": lambda path: np.savez(path, **by_id()),
    "f.safetensors": lambda path: save_file(by_id(), path),
}


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_in_every_format(tmp_path: Path, name: str) -> None:
    MATRICES[name](tmp_path / name)
    found = read_feature_file(tmp_path / name)
    np.testing.assert_array_equal(found.rows, ROWS)
    assert found.ids is None


@pytest.mark.parametrize("name", DICTS)
def test_vectors_by_id_in_every_format(tmp_path: Path, name: str) -> None:
    DICTS[name](tmp_path / name)
    found = read_feature_file(tmp_path / name)
    assert found.ids is not None
    assert dict(zip(found.ids, found.rows.tolist(), strict=True)) == {
        name: row.tolist() for name, row in by_id().items()
    }


def test_vectors_by_id_in_hdf5(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "f.h5", {"cat": ROWS[0], "Q42/b": ROWS[1]})
    found = read_feature_file(tmp_path / "f.h5")
    assert found.ids is not None
    assert set(found.ids) == {"cat", "Q42/b"}


def test_bfloat16_and_numbers_as_ids(tmp_path: Path) -> None:
    half = torch.tensor(ROWS).bfloat16()
    save_torch({"x": half}, tmp_path / "f.safetensors")
    torch.save(dict(enumerate(half)), tmp_path / "f.pth")
    for name in ("f.safetensors", "f.pth"):
        rows = read_feature_file(tmp_path / name).rows
        np.testing.assert_array_equal(rows, half.float().numpy())
    assert read_feature_file(tmp_path / "f.pth").ids == ("0", "1", "2", "3")


def test_a_key_chooses_among_several(tmp_path: Path) -> None:
    for name, write in {
        "f.npz": lambda path: np.savez(path, image=ROWS, text=ROWS[:, :2]),
        "f.pth": lambda path: torch.save(tensors({"image": ROWS, "text": ROWS[:, :2]}), path),
        "f.h5": lambda path: write_hdf5(path, {"image": ROWS, "text": ROWS[:, :2]}),
    }.items():
        write(tmp_path / name)
        assert read_feature_file(tmp_path / name, "text").rows.shape == (4, 2)
        with pytest.raises(FeatureFileError, match=r"2 arrays: 'image' \(4, 6\).*`key: NAME`"):
            read_feature_file(tmp_path / name)
        with pytest.raises(FeatureFileError, match="no array 'sound'"):
            read_feature_file(tmp_path / name, "sound")


class Evil:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._marker),)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, evil: torch.save(evil, path.with_suffix(".pth")),
        lambda path, evil: torch.save({"cat": evil}, path.with_suffix(".pth")),
        lambda path, evil: path.with_suffix(".pth").write_bytes(pickle.dumps(evil)),
        lambda path, evil: path.with_suffix(".npy").write_bytes(pickle.dumps(evil)),
        lambda path, evil: np.save(path.with_suffix(".npy"), np.array([evil], dtype=object)),
        lambda path, evil: np.savez(path.with_suffix(".npz"), x=np.array([evil], dtype=object)),
    ],
)
def test_no_file_can_run_code(tmp_path: Path, write: Callable[[Path, Evil], None]) -> None:
    marker = tmp_path / "ran"
    write(tmp_path / "f", Evil(marker))
    path = next(tmp_path.glob("f.*"))
    with pytest.raises(FeatureFileError) as refusal:
        read_feature_file(path)
    assert not marker.exists()
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_arrays_of_numpy_in_a_pth_are_named_as_what_they_are(tmp_path: Path) -> None:
    torch.save({"cat": ROWS[0]}, tmp_path / "f.pth")
    with pytest.raises(FeatureFileError, match=r"numpy\S*; allowed: a tensor, or a dict or list"):
        read_feature_file(tmp_path / "f.pth")


def twice(path: Path, rows: NDArray[np.float32]) -> None:
    np.savez(path, a=rows)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("a.npy", archive.read("a.npy"))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "f.pkl": (Path.touch, "the suffix '.pkl'; allowed: .npy"),
    "absent.npy": (lambda _: None, "No such file"),
    "empty.npy": (Path.touch, "allowed: "),
    "text.npy": (lambda path: path.write_text("1 2 3"), "allowed: "),
    "text.npz": (lambda path: path.write_text("1 2 3"), "allowed: "),
    "text.h5": (lambda path: path.write_text("1 2 3"), "allowed: "),
    "text.pth": (lambda path: path.write_text("1 2 3"), "allowed: "),
    "text.safetensors": (lambda path: path.write_text("1 2 3"), "allowed: "),
    "zip.npy": (lambda path: np.savez(path.open("wb"), ROWS), "another kind of file"),
    "cube.npy": (lambda path: np.save(path, np.zeros((2, 2, 2))), r"shape \(2, 2, 2\)"),
    "row.npy": (lambda path: np.save(path, np.zeros(3)), r"shape \(3,\)"),
    "none.npy": (lambda path: np.save(path, np.zeros((0, 3))), r"shape \(0, 3\)"),
    "words.npy": (lambda path: np.save(path, np.array([["a"]])), "dtype <U1"),
    "complex.npy": (lambda path: np.save(path, np.ones((2, 2), complex)), "complex"),
    "uneven.pth": (
        lambda path: torch.save(tensors({"a": ROWS[0], "b": ROWS[1, :2]}), path),
        "equal vectors by id",
    ),
    "nothing.pth": (lambda path: torch.save({"epoch": 3}, path), "0 arrays"),
    "number.pth": (lambda path: torch.save(3, path), "a int where a tensor"),
    "twice.pth": (lambda path: torch.save(tensors({1: ROWS[0], "1": ROWS[1]}), path), "1 and '1'"),
    "twice.npz": (lambda path: twice(path, ROWS), "several members of one name"),
    "sparse.pth": (lambda path: torch.save(torch.eye(3).to_sparse(), path), "sparse"),
    "nothing.h5": (lambda path: write_hdf5(path, {}), "0 arrays"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_feature_file_is_refused(tmp_path: Path, name: str) -> None:
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(FeatureFileError, match=reason) as refusal:
        read_feature_file(tmp_path / name)
    assert str(refusal.value).startswith(f"{tmp_path / name}: found ")


def test_an_external_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", (2, 8), "f4", external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(FeatureFileError, match="other files"):
        read_feature_file(tmp_path / "f.h5")


def deflated(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(shape: tuple[int, ...], content: bytes) -> bytes:
    """Return a file that claims a shape of float32, whatever its content."""
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


class ByteArray:
    def __reduce__(self) -> Any:
        return bytearray, (10**10,)


def zip_of_torch(path: Path) -> None:
    torch.save(torch.zeros(4, 4), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    deflated(path, members)


BOMBS: dict[str, Callable[[Path], Any]] = {
    "zeros.npz": lambda path: np.savez_compressed(path, np.zeros((2**21, 3), np.int8)),
    "many.npz": lambda path: np.savez_compressed(
        path, **{f"e{number}": np.zeros(2**20, np.int8) for number in range(5)}
    ),
    "shape.npz": lambda path: deflated(path, {"x.npy": npy((2**35, 3), bytes(64))}),
    "bzip2.npz": lambda path: deflated(path, {"x.npy": npy((4, 4), bytes(64))}, zipfile.ZIP_BZIP2),
    "shape.npy": lambda path: path.write_bytes(npy((2**35, 3), bytes(64))),
    "stride.pth": lambda path: torch.save(torch.zeros(1, 1).expand(2**20, 2**10), path),
    "half.pth": lambda path: torch.save(
        torch.zeros(1, 1, dtype=torch.bfloat16).expand(2**20, 2**10), path
    ),
    "shared.pth": lambda path: torch.save(dict.fromkeys(range(2000), torch.zeros(10_000)), path),
    "bytes.pth": lambda path: torch.save({"x": ByteArray()}, path),
    "bytes-old.pth": lambda path: torch.save(
        {"x": ByteArray()}, path, _use_new_zipfile_serialization=False
    ),
    "deflated.pth": zip_of_torch,
    "shape.h5": lambda path: write_hdf5_claim(path, "f4"),
    "words.h5": lambda path: write_hdf5_claim(path, h5py.string_dtype()),
}


def write_hdf5_claim(path: Path, dtype: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**30, 16), dtype, chunks=(1024, 16))


@pytest.mark.parametrize("name", BOMBS)
def test_what_claims_more_than_it_holds_is_refused_before_it_is_unpacked(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractors.media.unpacked_size.SMALL_BYTES", 2**22)
    BOMBS[name](tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(FeatureFileError, match="found ") as refusal:
            read_feature_file(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)


def test_compressed_features_are_no_bomb(tmp_path: Path) -> None:
    sparse = np.zeros((20_000, 900), np.float32)  # 72 MB
    sparse[np.arange(20_000), np.arange(20_000) % 900] = np.linspace(1, 2, 20_000)
    np.savez_compressed(tmp_path / "f.npz", sparse)
    assert (tmp_path / "f.npz").stat().st_size < sparse.nbytes / 50
    np.testing.assert_array_equal(read_feature_file(tmp_path / "f.npz").rows, sparse)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    for suffix in (".npy", ".npz", ".pth", ".h5", ".safetensors"):
        os.mkfifo(tmp_path / f"f{suffix}")
        with pytest.raises(FeatureFileError, match="no regular file"):
            read_feature_file(tmp_path / f"f{suffix}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four entities with rows, in another order than the rows, and one without."""
    world = World(tmp_path)
    for name in (IDS[2], "bare", IDS[0], IDS[3], IDS[1]):
        world.add(name)
    np.save(tmp_path / "f.npy", ROWS)
    (tmp_path / "ids.txt").write_text("\n".join(IDS) + "\n")
    return world


def extract(world: World, **config: object) -> Extraction:
    folder = world.root.parent
    given = {"file": str(folder / "f.npy"), "ids": str(folder / "ids.txt"), **config}
    kept = {key: value for key, value in given.items() if value is not None}
    return world.extract(build_extractor("imported", kept, Runtime()), OPTIONS, ("id",))


def vectors(extraction: Extraction) -> NDArray[np.float32]:
    with FeatureStore.open_readonly(extraction.store_directory) as store:
        return np.asarray(store.read([digest for _, digest in extraction.references]))


class TestExtraction:
    def test_every_entity_gets_the_row_of_its_id(self, world: World) -> None:
        extraction = extract(world)
        assert extraction.counts == Counts(new=4, cached=0, failed=0, missing=1)
        assert [entity for entity, _ in extraction.references] == [0, 2, 3, 4]
        np.testing.assert_array_equal(vectors(extraction), ROWS[[2, 0, 3, 1]])
        assert extract(world).counts == Counts(new=0, cached=4, failed=0, missing=1)

    def test_a_changed_file_is_another_space(self, world: World) -> None:
        first = extract(world)
        np.save(world.root.parent / "f.npy", ROWS + 1)
        second = extract(world)
        assert second.counts.new == 4
        assert second.store_directory != first.store_directory
        np.testing.assert_array_equal(vectors(second), ROWS[[2, 0, 3, 1]] + 1)

    def test_reordered_ids_are_another_space(self, world: World) -> None:
        extract(world)
        (world.root.parent / "ids.txt").write_text("\r\n".join(IDS[::-1]))
        np.testing.assert_array_equal(vectors(extract(world)), ROWS[[1, 3, 0, 2]])

    def test_a_moved_file_costs_nothing(self, world: World) -> None:
        extract(world)
        folder = world.root.parent
        (folder / "f.npy").rename(folder / "g.npy")
        assert extract(world, file=str(folder / "g.npy")).counts.cached == 4

    def test_ids_of_the_file_itself(self, world: World) -> None:
        path = world.root.parent / "f.pth"
        torch.save(tensors(by_id()), path)
        extraction = extract(world, file=str(path), ids=None)
        np.testing.assert_array_equal(vectors(extraction), ROWS[[2, 0, 3, 1]])

    def test_the_order_of_an_openke_file(self, world: World) -> None:
        path = world.root.parent / "entity2id.txt"
        path.write_text("4\n" + "".join(f"{IDS[i]}\t{i}\n" for i in (3, 0, 2, 1)))
        extraction = extract(world, ids=str(path))
        np.testing.assert_array_equal(vectors(extraction), ROWS[[2, 0, 3, 1]])

    def test_unknown_ids_are_refused_or_left_out(self, world: World) -> None:
        del world.entities[2]
        with pytest.raises(FeatureFileError, match=r"found 1 of 4 ids .*: 'cat'; allowed"):
            extract(world)
        assert extract(world, ignore_unknown=True).counts.new == 3

    def test_ids_of_another_dataset_are_refused_always(self, world: World) -> None:
        (world.root.parent / "ids.txt").write_text("a\nb\nc\nd\n")
        with pytest.raises(FeatureFileError, match=r"found 4 of 4 ids .*: 'a', 'b', 'c', \.\.\."):
            extract(world, ignore_unknown=True)

    @pytest.mark.parametrize(
        ("ids", "error", "reason"),
        [
            ("cat\ndog\n", FeatureFileError, "found 2 ids; allowed: 4"),
            ("cat\ndog\ncat\ndog\n", FeatureFileError, "found 2 ids .*first one 'cat'"),
            ("", FeatureFileError, "found 0 ids"),
            (None, DatasetError, "no such file"),
        ],
    )
    def test_ids_that_do_not_fit(
        self, world: World, ids: str | None, error: type[MocmeError], reason: str
    ) -> None:
        path = world.root.parent / "ids.txt"
        path.unlink()
        if ids is not None:
            path.write_text(ids)
        with pytest.raises(error, match=reason):
            extract(world)

    def test_a_matrix_without_ids(self, world: World) -> None:
        with pytest.raises(FeatureFileError, match="whose rows have no ids"):
            extract(world, ids=None)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
    def test_numbers_that_are_not_finite(self, world: World, bad: float) -> None:
        rows = ROWS.astype(np.float64)
        rows[[1, 3], 2] = bad
        np.save(world.root.parent / "f.npy", rows)
        for _ in range(2):  # what was stored before the first bad row changes nothing
            with pytest.raises(FeatureFileError, match="in 2 of 4 rows; allowed: finite numbers"):
                extract(world)

    def test_numbers_beyond_float16_are_kept(self, world: World) -> None:
        np.save(world.root.parent / "f.npy", ROWS * 1e6)
        extraction = extract(world)
        np.testing.assert_array_equal(vectors(extraction), ROWS[[2, 0, 3, 1]] * np.float32(1e6))
