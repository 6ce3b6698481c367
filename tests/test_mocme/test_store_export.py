"""`store export`: every entity's vector under its own id, and back again."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import mocme

from storage.datasets.dataset import read_dataset


def test_an_export_comes_back_by_import(extracted: Path, tmp_path: Path) -> None:
    config, out = extracted / "mocme.yaml", tmp_path / "text.npy"
    told = mocme("store", "export", config, "text", out, "--json")
    assert told.exit_code == 0, told.stderr
    ids = (tmp_path / "text.ids.txt").read_text(encoding="utf-8").splitlines()
    assert told.json["files"] == [str(out), str(tmp_path / "text.ids.txt")]
    assert told.json["left_out"] == {"not_extracted": 0, "failed": 0}
    assert ids == [entity.id for entity in read_dataset(extracted).entities]
    rows = np.load(out)
    assert rows.shape == (told.json["rows"], told.json["dim"]) == (len(ids), 1024)
    assert told.json["dtype"] == str(rows.dtype) == "float16"

    added = mocme("store", "import", config, "again", out, "--ids", tmp_path / "text.ids.txt")
    assert added.exit_code == 0, added.stderr
    entry = f"{{extractor: imported, file: {out}, ids: {tmp_path / 'text.ids.txt'}}}"
    override = f"modalities.again={entry}"
    back = mocme("store", "export", config, "again", tmp_path / "b.safetensors", "--set", override)
    assert back.exit_code == 0, back.stderr
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(load_file(tmp_path / "b.safetensors")["features"], rows)
    assert (tmp_path / "b.ids.txt").read_text(encoding="utf-8").splitlines() == ids


def test_every_id_has_the_vector_of_its_own_text(extracted: Path, tmp_path: Path) -> None:
    from extractors.base import Runtime
    from extractors.registry import build_extractor
    from flows.configs.pipeline_config import load_config
    from storage.datasets.items import ItemReader

    mocme("store", "export", extracted / "mocme.yaml", "text", tmp_path / "t.npy")
    ids = (tmp_path / "t.ids.txt").read_text(encoding="utf-8").splitlines()
    config, dataset = load_config(extracted / "mocme.yaml"), read_dataset(extracted)
    extractor = build_extractor("text_hash", config.modalities["text"].options, Runtime())
    contents = ItemReader(config.fields_of("text"), dataset.entities_file).of_kind("text")
    expected = {
        entity.id: extractor.encode([extractor.load(text)])[0].astype(np.float16)
        for entity in dataset.entities
        for text in contents(entity)
    }
    for name, row in zip(ids, np.load(tmp_path / "t.npy"), strict=True):
        np.testing.assert_array_equal(row, expected[name])


def test_items_repeat_their_entitys_id(extracted: Path, tmp_path: Path) -> None:
    config = extracted / "mocme.yaml"
    by_item = mocme("store", "export", config, "image", tmp_path / "i.npy", "--items", "--json")
    by_entity = mocme("store", "export", config, "image", tmp_path / "e.npy", "--json")
    item_ids = (tmp_path / "i.ids.txt").read_text(encoding="utf-8").splitlines()
    ids = (tmp_path / "e.ids.txt").read_text(encoding="utf-8").splitlines()
    assert list(dict.fromkeys(item_ids)) == ids
    assert by_item.json["rows"] == len(item_ids) >= by_entity.json["rows"] == len(ids)
    assert by_item.json["left_out"]["failed"] == 3
    items, rows = np.load(tmp_path / "i.npy"), np.load(tmp_path / "e.npy")
    for name, row in zip(ids, rows, strict=True):
        own = items[np.array(item_ids) == name].astype(np.float32)
        np.testing.assert_allclose(row, own.mean(axis=0), atol=1e-2)
    assert "3 failed" in mocme("store", "export", config, "image", tmp_path / "i.npy").stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["imgae", "out.npy"], "found 'imgae' (did you mean 'image'?); allowed: text, image"),
        (["image", "out.csv"], "out.csv: found the suffix '.csv'"),
        (["image", "none/out.npy"], "No such file or directory"),
        (["text", "out.npy", "--set", "modalities.text.dim=64"], "found no features of the modal"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    extracted: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(extracted)
    command = mocme("store", "export", "mocme.yaml", *words)
    assert command.exit_code == 2
    assert reason in command.stderr
    assert not list(extracted.glob("out*"))


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
def test_no_file_but_an_older_export_is_replaced(
    extracted: Path, tmp_path: Path, suffix: str
) -> None:
    config, out = extracted / "mocme.yaml", tmp_path / f"text{suffix}"
    out.write_bytes(b"mine")
    refused = mocme("store", "export", config, "text", out)
    assert refused.exit_code == 2
    assert f"{out.name}: found another file" in refused.stderr
    assert out.read_bytes() == b"mine"

    out.write_bytes(b"")
    for _ in range(2):
        assert mocme("store", "export", config, "text", out).exit_code == 0


@pytest.mark.parametrize("out", ["text.npy", "text.safetensors"])
def test_what_a_modality_imports_is_not_replaced(extracted: Path, tmp_path: Path, out: str) -> None:
    config, features = extracted / "mocme.yaml", tmp_path / "text.npy"
    assert mocme("store", "export", config, "text", features).exit_code == 0
    before = features.read_bytes()
    entry = f"{{extractor: imported, file: {features}, ids: {features.with_suffix('.ids.txt')}}}"
    override = ("--set", f"modalities.again={entry}")
    refused = mocme("store", "export", config, "image", tmp_path / out, *override)
    assert refused.exit_code == 2
    assert "'modalities.again." in refused.stderr
    assert features.read_bytes() == before
