"""`mocme config`: every key explained, a config as it is read, and the schema for editors."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_runs import mocme, run_and_look_at_imports

from flows.configs.described import config_keys
from flows.configs.pipeline_config import load_config
from mocme.config_text import REGENERATE

PAGE = Path(__file__).parents[2] / "docs/config.md"

CONFIG = """\
dataset: graph
modalities:
  text: {extractor: text_hash, field: [name, text], dim: 64}
  pictures: {extractor: image_stats, field: image}
  vectors: {extractor: imported, file: some/vectors.npy, ids: ids.txt}
train: {epochs: 7, negatives: {egns: {easy_weight: 0.5}}}
model: {attend: [pictures]}
relation_types: {capital: {single: true}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG)
    return path


def test_defaults_name_every_key_with_its_sentence() -> None:
    told = mocme("config", "--defaults")
    assert told.exit_code == 0
    words = " ".join(told.stdout.split())
    for key in config_keys():
        assert key.key in words
        assert f"[{key.allowed}]" in words
        assert key.description in words
    assert "train.epochs: 50 [whole number, at least 1, at most 100000]" in words
    assert "dataset (required)" in words


def test_defaults_as_json() -> None:
    keys = {
        (it["key"], it["extractor"]): it
        for it in mocme("config", "--defaults", "--json").json["keys"]
    }
    assert keys["model.dim", None]["default"] == 200
    assert keys["modalities.NAME.dim", "text_hash"]["allowed"].startswith("whole number")


def test_the_page_is_what_the_command_writes() -> None:
    told = mocme("config", "--defaults", "--markdown")
    assert told.exit_code == 0
    is_same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == told.stdout
    assert is_same, f"docs/config.md is not as the classes are now; write it by: {REGENERATE}"


def test_a_config_is_printed_as_it_is_read(config: Path, tmp_path: Path) -> None:
    told = mocme("config", config, "--set", "train.epochs=9")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert "  epochs: 9" in lines
    assert any("Most epochs of a training" in line for line in lines)
    data = yaml.safe_load(told.stdout)
    assert data["dataset"] == str(tmp_path / "graph")
    assert data["modalities"]["text"]["max_characters"] == 20_000
    assert data["modalities"]["vectors"]["file"] == str(tmp_path / "some/vectors.npy")
    assert data["train"]["negatives"]["egns"]["easy_weight"] == 0.5
    assert data["relation_types"]["capital"]["single"] is True
    assert any("Whether a head has one tail at most" in line for line in lines)


def test_what_is_printed_is_the_same_config_elsewhere(config: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other/folder/copy.yaml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(mocme("config", config).stdout)
    again = mocme("config", elsewhere)
    assert again.stdout == elsewhere.read_text()
    first, second = load_config(config), load_config(elsewhere)
    assert first.model_copy(update={"modalities": {}}) == second.model_copy(
        update={"modalities": {}}
    )
    assert mocme("config", config, "--json").json == mocme("config", elsewhere, "--json").json


@pytest.mark.parametrize("name", ["é", "\u202ex", "a: b # c", "'", "null", "a\tb"])
def test_odd_values_survive(config: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    told = mocme("config", config, "--set", f"dataset={json.dumps(str(folder))}").stdout
    assert "\u202e" not in told
    assert yaml.safe_load(told)["dataset"] == str(folder)


def test_every_line_of_every_key_has_a_comment(config: Path) -> None:
    lines = mocme("config", config).stdout.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        is_entry = line.strip() in ("text:", "pictures:", "vectors:", "capital:")
        assert line.strip().startswith("#") or before.strip().startswith("#") or is_entry, line


def test_the_schema_takes_what_the_reader_takes(config: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = mocme("config", "--schema").json
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    good = yaml.safe_load(CONFIG)
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors(yaml.safe_load(mocme("config", config).stdout))) == []
    bad: dict[str, Any] = {
        "no dataset": {},
        "unknown key": {"dataset": "d", "trian": {}},
        "unknown option": {
            "dataset": "d",
            "modalities": {"t": {"extractor": "text_hash", "dims": 3}},
        },
        "option of another": {
            "dataset": "d",
            "modalities": {"t": {"extractor": "text_hash", "num_mels": 9}},
        },
        "out of bounds": {"dataset": "d", "train": {"epochs": 0}},
        "required option": {"dataset": "d", "modalities": {"t": {"extractor": "imported"}}},
        "no such extractor": {"dataset": "d", "modalities": {"t": {"extractor": "texthash"}}},
    }
    for name, data in bad.items():
        assert list(validator.iter_errors(data)), name


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--defaults", "--schema"],
        ["run.yaml", "--defaults"],
        ["--defaults", "--set", "train.epochs=3"],
        ["--schema", "--markdown"],
        ["--defaults", "--markdown", "--json"],
    ],
)
def test_mixtures_are_refused(options: list[str]) -> None:
    told = mocme("config", *options)
    assert told.exit_code == 2
    assert "Traceback" not in told.stderr


def test_an_error_of_the_config_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("dataset: d\ntrain: {epoch: 3}\n")
    told = mocme("config", path)
    assert told.exit_code == 2
    assert told.stderr.count("\n") == 1
    assert "did you mean 'epochs'" in told.stderr
    assert "`mocme config --defaults`" in told.stderr


def test_neither_prefect_nor_torch_is_imported(config: Path) -> None:
    assert run_and_look_at_imports("config", config, "--json")[1] == []
    assert run_and_look_at_imports("config", "--defaults", "--json")[1] == []


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str) -> None:
    told = mocme(option)
    assert told.exit_code == 0
    first, second = told.stdout.splitlines()
    assert first.split() == ["mocme", first.split()[1]]
    assert first.split()[1][0].isdigit()
    assert second.startswith("Python 3.")


def test_the_version_imports_no_torch() -> None:
    script = (
        "import sys\nfrom mocme.cli.app import app\n"
        "try: app(['--version'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'prefect'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
