"""What is read and checked before Prefect starts: bad input costs no start, good input one read."""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_runs import (
    SMALL,
    mocme,
    run_all_and_look_at_imports,
    run_and_look_at_imports,
    settings,
    small,
)

import flows.inputs
from flows.configs.pipeline_config import load_config
from flows.inputs import check_inputs
from flows.stages.run_record import RunRecord, take_record
from storage.errors import DatasetError
from storage.files.file_errors import FileError
from storage.files.places import check_place

ANIMALS = ("lion", "tiger", "wolf")
WEIGHTS = {"extractor": "text_bert", "model": "weights"}


def write_graph(folder: Path, **changes: Any) -> Path:
    """Write a small dataset and a config of it; returns the config's path."""
    entities = [{"id": name, "text": f"A {name}.", "image": []} for name in (*ANIMALS, "cats")]
    (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, entities)))
    for split, name in zip(("train", "valid", "test"), ANIMALS, strict=True):
        (folder / f"{split}.tsv").write_text(f"{name}\tis_one_of\tcats\n")
    (folder / "weights").mkdir()
    path = folder / "mocme.yaml"
    text = {"extractor": "text_hash"}
    path.write_text(yaml.safe_dump({"dataset": ".", "modalities": {"text": text}, **changes}))
    return path


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"dataset": "nowhere"}, "nowhere: found no such folder"),
    ({"predict": {"relations": ["is_one_off"]}}, "did you mean 'is_one_of'"),
    ({"relation_types": {"is_one_off": {"single": True}}}, "did you mean 'is_one_of'"),
    ({"modalities": {"texts": {"extractor": "text_hash"}}}, "field 'texts'"),
    ({"modalities": {"text": WEIGHTS}}, "found no weights in the folder"),
    ({"modalities": {"text": {**WEIGHTS, "model": "./gone"}}}, "found './gone'"),
    ({"modalities": {"image": {**WEIGHTS, "extractor": "image_clip"}}}, "found no weights"),
    ({"modalities": {"f": {"extractor": "imported", "file": "f.npy"}}}, "f.npy: found"),
    ({"runs": "entities.jsonl"}, "'runs': "),
    ({"store": "entities.jsonl/features"}, "'store': "),
    ({"train": {"device": "gpu"}}, "'train.device': found 'gpu'"),
    ({"extract": {"device": "cuda:one"}}, "'extract.device': found 'cuda:one'"),
]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], list[str]]]:
    """What a run said of each bad input, and what was imported after it."""
    configs = [write_graph(tmp_path_factory.mktemp("bad"), **changes) for changes, _ in BAD_INPUT]
    return run_all_and_look_at_imports(("run", config, "--json") for config in configs)


@pytest.mark.parametrize("number", range(len(BAD_INPUT)), ids=[said for _, said in BAD_INPUT])
def test_bad_input_costs_no_start_of_prefect(
    refused: list[tuple[dict[str, Any], list[str]]], number: int
) -> None:
    result, imported = refused[number]
    assert BAD_INPUT[number][1] in result["error"]
    assert "; allowed: " in result["error"]
    assert (result["stages"], result["extracted"], imported) == ({}, {}, [])


def test_a_bad_triple_costs_none_either(tmp_path: Path) -> None:
    config = write_graph(tmp_path)
    (tmp_path / "valid.tsv").write_text("lion\tis_one_of\tzebras\n")
    commands = [(name, config, "--json") for name in ("run", "train", "extract")]
    for result, imported in run_all_and_look_at_imports(commands):
        assert "valid.tsv, line 1, field 'tail': found the unknown entity" in result["error"]
        assert imported == []


def test_a_device_that_is_not_here_is_missed_before_anything_is_extracted(tmp_path: Path) -> None:
    config = write_graph(tmp_path, train={"device": "cuda:99"})
    result, imported = run_and_look_at_imports("run", config, "--json")
    assert "train.device: found 'cuda:99'" in result["error"]
    assert "prefect" not in imported
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(find_spec("prefect_ray") is not None, reason="prefect-ray is installed")
def test_a_task_runner_that_is_not_installed_costs_no_start(tmp_path: Path) -> None:
    config = write_graph(tmp_path, extract={"task_runner": "ray"})
    result, imported = run_and_look_at_imports("run", config, "--json")
    assert "'extract.task_runner': found 'ray' and no prefect-ray" in result["error"]
    assert imported == []


def test_a_store_that_can_only_be_read_may_hold_all_that_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(0o500)
    check_place("store", folder, may_be_read_only=True)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write to everything")
    for place in (folder, folder / "below"):
        with pytest.raises(FileError, match="cannot be written to; allowed: "):
            check_place("runs", place)


def test_an_existing_run_is_looked_at_before_prefect_starts(project: Path) -> None:
    config = project / "mocme.yaml"
    misspelt = [*settings(*SMALL), "--set", "predict.relations=[made_off]"]
    result, imported = run_and_look_at_imports("predict", config, "--json", *misspelt)
    assert "'predict.relations': found 'made_off' (did you mean 'made_of'?)" in result["error"]
    assert imported == []
    run = (project / "data/runs/newest").resolve()
    (run / "scoring.safetensors").write_bytes(b"")
    (run / "evaluation.json").unlink()
    result, imported = run_and_look_at_imports("evaluate", config, "--json", *settings(*SMALL))
    assert "scoring.safetensors: found a damaged file" in result["error"]
    assert imported == []


def test_what_is_done_needs_no_whole_run(project: Path) -> None:
    (project / "data/runs/newest").resolve().joinpath("scoring.safetensors").unlink()
    command = small("evaluate", project / "mocme.yaml")
    assert command.json["stages"] == {"evaluate": "skipped"}


def test_a_config_that_was_never_run_costs_none(tmp_path: Path) -> None:
    config = write_graph(tmp_path)
    commands = [(name, config, "--json") for name in ("evaluate", "predict")]
    for result, imported in run_all_and_look_at_imports(commands):
        assert "found no finished training of this config" in result["error"]
        assert imported == []


def test_a_run_of_other_settings_is_named(project: Path) -> None:
    command = mocme("predict", project / "mocme.yaml", "--head", "x", "--relation", "eats")
    assert command.exit_code == 2
    run = (project / "data/runs/newest").resolve()
    assert (
        f"of this config as it is; run `mocme train CONFIG` first, or name a run by --run {run}"
        in (command.stderr)
    )


def test_a_misspelt_field_of_a_large_dataset_is_found_as_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows.inputs, "_MOST_ENTITIES_LISTED", 0)
    config = load_config(write_graph(tmp_path, modalities={"texts": {"extractor": "text_hash"}}))
    with pytest.raises(DatasetError, match=r"no entity with a field 'texts'.*did you mean 'text'"):
        check_inputs("pipeline", config, RunRecord())


def test_bad_input_exits_with_2(tmp_path: Path) -> None:
    command = mocme("run", write_graph(tmp_path, dataset="nowhere"))
    assert " s start-up" in command.stdout
    assert "Prefect" not in command.stdout
    assert command.exit_code == 2
    assert command.stderr.count("error: ") == 1


def test_weights_that_may_not_be_fetched_and_are_not_here_are_missed_at_once(
    tmp_path: Path,
) -> None:
    text = {"extractor": "text_bert", "model": "nobody/has-this"}
    config = write_graph(tmp_path, modalities={"text": text}, extract={"offline": True})
    result, imported = run_and_look_at_imports("run", config, "--json")
    assert "nobody/has-this" in result["error"]
    assert imported == []


def test_the_flow_reuses_what_was_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, planned = [], []
    read_dataset, build_extractor = flows.inputs.read_dataset, flows.inputs.build_extractor

    def reading(path: Path, split_salt: str) -> Any:
        read.append(path)
        return read_dataset(path, split_salt)

    def building(name: str, *rest: Any) -> Any:
        planned.append(name)
        return build_extractor(name, *rest)

    monkeypatch.setattr(flows.inputs, "read_dataset", reading)
    monkeypatch.setattr(flows.inputs, "build_extractor", building)
    command = small("run", project / "mocme.yaml")
    assert set(command.json["stages"].values()) == {"skipped"}
    modalities = load_config(project / "mocme.yaml").modalities
    assert len(read) == 1
    assert len(planned) == len(modalities)


def test_what_was_read_for_one_config_serves_no_other(project: Path) -> None:
    record = RunRecord()
    config = load_config(project / "mocme.yaml", SMALL)
    check_inputs("pipeline", config, record)
    assert record.inputs_for(config.model_copy(deep=True)).dataset is not None
    other = load_config(project / "mocme.yaml", [*SMALL, "extract.max_failure_rate=0.5"])
    assert record.inputs_for(other).dataset is None
    assert record.inputs_for(other).plans == {}


def test_a_run_that_failed_before_its_flow_leaves_the_next_one_nothing(tmp_path: Path) -> None:
    assert mocme("run", write_graph(tmp_path, dataset="nowhere")).exit_code == 2
    assert take_record().error is None


def test_the_seconds_of_a_run_add_up(project: Path) -> None:
    command = mocme("run", project / "mocme.yaml", *settings(*SMALL))
    (line,) = (it for it in command.stdout.splitlines() if "Prefect and start-up" in it)
    whole, stages, reading, start_up = (
        float(word) for word in line.split() if word.replace(".", "", 1).isdigit()
    )
    assert whole == pytest.approx(stages + reading + start_up, abs=0.21)
