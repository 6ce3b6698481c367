"""`store import`, and `extract` with the entry that it prints."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_runs import mocme, small

from extractors.sample import write_sample
from storage.datasets.dataset import read_dataset


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A folder of a sample and published features of all its entities but the first."""
    folder = tmp_path_factory.mktemp("published")
    write_sample(folder / "s", num_things=60)
    ids = [entity.id for entity in read_dataset(folder / "s").entities][:0:-1]
    rows = np.random.default_rng(0).standard_normal((len(ids), 5))
    np.save(folder / "look.npy", rows.astype(np.float32))
    (folder / "ids.txt").write_text("\n".join(ids))
    return folder


@pytest.fixture
def project(published: Path, tmp_path: Path) -> Path:
    """The sample's folder, in a copy of the one around it."""
    shutil.copytree(published, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "s"


def arguments(project: Path, *options: object) -> list[object]:
    folder = project.parent
    config = project / "mocme.yaml"
    return ["store", "import", config, "look", folder / "look.npy", *options]


def test_the_entry_that_is_printed_finds_what_was_imported(project: Path) -> None:
    command = mocme(*arguments(project, "--ids", project.parent / "ids.txt", "--json"))
    assert command.exit_code == 0, command.stderr
    counts = command.json["imported"]["look"]
    num_entities = len(read_dataset(project).entities)
    assert counts == {"new": num_entities - 1, "cached": 0, "failed": 0, "missing": 1}
    assert command.json["entry"]["look"] == {
        "extractor": "imported",
        "file": "../look.npy",
        "ids": "../ids.txt",
    }

    printed = mocme(*arguments(project, "--ids", project.parent / "ids.txt")).stdout
    config = project / "mocme.yaml"
    written = yaml.safe_load(config.read_text())
    written["modalities"] = yaml.safe_load(printed.splitlines()[-1])
    config.write_text(json.dumps(written))
    extracted = small("extract", config)
    assert extracted.exit_code == 0, extracted.stderr
    assert extracted.json["extracted"] == {"look": {**counts, "new": 0, "cached": counts["new"]}}
    told = mocme("extract", config, "--dry-run", "--json").json["dry_run"]["look"]
    assert (told["cached"], told["missing"], told["why"]) == (counts["new"], 1, None)


def test_unknown_ids_are_counted_and_may_be_left_out(project: Path) -> None:
    ids = project.parent / "ids.txt"
    lines = ids.read_text().splitlines()
    ids.write_text("\n".join(["ghost", "phantom", *lines[2:]]))
    refused = mocme(*arguments(project, "--ids", ids))
    assert refused.exit_code == 2
    assert f"found 2 of {len(lines)} ids that are no entity's: 'ghost', 'phantom'" in refused.stderr
    command = mocme(*arguments(project, "--ids", ids, "--ignore-unknown", "--json"))
    assert command.json["imported"]["look"]["new"] == len(lines) - 2
    assert command.json["entry"]["look"]["ignore_unknown"] is True


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["look", "none.npy", "--ids", "ids.txt"], "none.npy: found No such file"),
        (["look", "look.npy"], "whose rows have no ids"),
        (["look", "look.npy", "--ids", "none.txt"], "none.txt: found no such file"),
        (["look", "look.npy", "--ids", "ids.txt", "--key", "x"], "key 'x' beside a single array"),
        (["a b", "look.npy", "--ids", "ids.txt"], "found 'a b'; allowed: "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(project.parent)
    command = mocme("store", "import", "s/mocme.yaml", *words)
    assert command.exit_code == 2
    assert reason in command.stderr
    assert "Traceback" not in command.stderr


def test_training_uses_imported_features(project: Path) -> None:
    entry = {
        "extractor": "imported",
        "file": str(project.parent / "look.npy"),
        "ids": str(project.parent / "ids.txt"),
    }
    modalities = f"modalities={json.dumps({'look': entry})}"
    command = small("train", project / "mocme.yaml", modalities, "model.fusion=sum")
    assert command.exit_code == 0, command.stderr
    assert command.json["stages"] == {"extract": "ran", "train": "ran"}


@pytest.mark.parametrize("kind", ["features", "ids"])
@pytest.mark.parametrize("case", ["link out", "fifo"])
def test_files_of_the_dataset_are_opened_by_its_rules(project: Path, kind: str, case: str) -> None:
    """Others are the user's affair, but for what would never end."""
    outside = {"features": project.parent / "look.npy", "ids": project.parent / "ids.txt"}
    named = dict(outside)
    inside = named[kind] = project / outside[kind].name
    if case == "link out":
        inside.symlink_to(outside[kind])
    else:
        os.mkfifo(inside)
    config = project / "mocme.yaml"
    words = ["store", "import", config, "look", named["features"], "--ids", named["ids"]]
    command = mocme(*words)
    assert command.exit_code == 2
    reason = {"link out": "a symbolic link that leaves", "fifo": "a FIFO, not a file"}[case]
    assert f"{inside}: found {reason}" in command.stderr

    elsewhere = project.parent / f"elsewhere-{inside.name}"
    inside.rename(elsewhere)
    named[kind] = elsewhere
    command = mocme("store", "import", config, "look", named["features"], "--ids", named["ids"])
    assert command.exit_code == (0 if case == "link out" else 2), command.stderr
