"""A name that the dataset has and the run lacks is no misspelling: the message says what helps."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from small_runs import SMALL, mocme, settings

from storage.datasets.dataset import read_dataset


@pytest.fixture
def grown(project: Path) -> Path:
    """A project whose dataset has gained an entity, a relation and another name since its run."""
    with (project / "entities.jsonl").open("a") as file:
        file.write('{"id": "new comer", "name": "New Comer\\u202e", "text": "red"}\n')
        file.write('{"id": "plain", "name": "Plain Newcomer", "text": "red"}\n')
    with (project / "train.tsv").open("a") as file:
        file.write("plain\tbrand_new\tnew comer\n")
    return project


def config(project: Path) -> Path:
    return project / "mocme.yaml"


def relation_of(project: Path) -> str:
    return next(it for it in read_dataset(project).graph.relations if it != "brand_new")


def error_of(*arguments: object) -> str:
    told = mocme(*arguments)
    assert told.exit_code == 2, told.stdout
    assert told.stderr.count("\n") == 1, told.stderr
    assert told.stderr.startswith("error: ")
    return told.stderr.removesuffix("\n")


def ask(project: Path, *words: object) -> str:
    relation = relation_of(project)
    return error_of("predict", config(project), *settings(*SMALL), "--relation", relation, *words)


@pytest.mark.parametrize("name", ["plain", "Plain Newcomer", "plain newcomer"])
@pytest.mark.parametrize("side", ["head", "tail"])
def test_an_entity_that_came_later(grown: Path, name: str, side: str) -> None:
    told = ask(grown, f"--{side}", name)
    assert f"{side}: found {name!r}, which is in the dataset and not in this run; allowed: " in told
    arguments = shlex.join([str(config(grown)), *settings(*SMALL)])
    assert f"`mocme place {arguments}`" in told
    assert f"`mocme run {arguments}`" in told
    assert "did you mean" not in told


def test_the_command_that_is_named_helps(grown: Path) -> None:
    told = ask(grown, "--head", "plain")
    place = shlex.split(told.split("`mocme ")[1].split("`")[0])
    before = [place[0].replace("place", "extract"), *place[1:]]
    assert mocme(*before).exit_code == 0
    assert mocme(*place).exit_code == 0
    told = ask(grown, "--head", "plain")
    assert "was placed after this run was trained; allowed: " in told
    run = shlex.split(told.split("`--run ")[1].split("`")[0])[0]
    question = ["--head", "plain", "--relation", relation_of(grown)]
    assert mocme("predict", "--run", run, *question).exit_code == 0


def test_a_run_that_is_named_by_its_folder(grown: Path) -> None:
    run = (grown / "data/runs/newest").resolve()
    question = ["--head", "plain", "--relation", relation_of(grown)]
    told = error_of("predict", "--run", run, *question)
    assert f"`mocme place {run / 'config.yaml'}`" in told


def test_a_relation_that_came_later_has_to_be_trained(grown: Path) -> None:
    head = read_dataset(grown).graph.entities[0]
    command = ["predict", config(grown), *settings(*SMALL), "--relation", "brand_new"]
    for words in (["--head", head], ["--out", grown / "x.csv"]):
        told = error_of(*command, *words)
        assert "relation: found 'brand_new', which is in the dataset and not in this run" in told
        assert f"first `mocme run {config(grown)}" in told
        assert "mocme place" not in told
        assert relation_of(grown) in told


def test_a_misspelling_stays_one(grown: Path) -> None:
    entity = read_dataset(grown).graph.entities[0]
    assert f"did you mean {entity!r}" in ask(grown, "--head", f"{entity}x")
    told = ask(grown, "--head", "nothing like any of them at all")
    assert "which is in the dataset" not in told
    assert "allowed: the id or name of one of" in told


def test_an_entity_of_the_run_by_its_new_name(project: Path) -> None:
    path = project / "entities.jsonl"
    first, *rest = path.read_text().splitlines()
    entity = json.loads(first) | {"name": "Called Otherwise"}
    path.write_text("\n".join([json.dumps(entity), *rest]) + "\n")
    told = ask(project, "--head", "Called Otherwise")
    assert f"which the run has under another name; allowed: {entity['id']}" in told


@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_without_a_dataset_the_message_is_the_plain_one(grown: Path, loss: str) -> None:
    relation = relation_of(grown)
    if loss == "gone":
        for path in grown.glob("*.*"):
            if path.name != "mocme.yaml":
                path.unlink()
    else:
        (grown / "entities.jsonl").write_text("{")
    told = error_of(
        "predict", config(grown), *settings(*SMALL), "--relation", relation, "--head", "plain"
    )
    assert "head: found 'plain'" in told
    assert "allowed: the id or name of one of the graph's" in told


def test_paths_with_spaces_can_be_pasted(grown: Path, tmp_path: Path) -> None:
    spaced = Path(shutil.move(grown, tmp_path / "a folder's copy"))
    told = ask(spaced, "--head", "new comer")
    words = shlex.split(told.split("`mocme place ")[1].split("`")[0])
    assert words[0] == str(config(spaced))


def test_hidden_characters_are_shown(grown: Path) -> None:
    told = ask(grown, "--head", "New Comer\u202e")
    assert "\u202e" not in told
    assert "which is in the dataset and not in this run" in told
