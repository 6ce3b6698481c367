"""`mocme place`: an entity that arrives after a training is asked about without another one."""

import json
from pathlib import Path

import pytest
from small_runs import mocme, small


def add_entity(project: Path, copied_from: str, facts: bool) -> None:
    """Add an entity that shows what another one shows, with a fact in train and one in test."""
    lines = (project / "entities.jsonl").read_text(encoding="utf-8").splitlines()
    entities = {entity["id"]: entity for entity in map(json.loads, lines)}
    new = {**entities[copied_from], "id": "late", "name": "The late one", "text": "a new text"}
    lines.insert(0, json.dumps(new))
    (project / "entities.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if facts:
        lines = (project / "train.tsv").read_text().splitlines()
        found = [line.split("\t")[1:] for line in lines if line.startswith(f"{copied_from}\t")]
        for split, fact in zip(("train", "test"), found, strict=False):
            with (project / f"{split}.tsv").open("a") as file:
                file.write("\t".join(["late", *fact]) + "\n")


def a_thing(project: Path) -> str:
    return (project / "train.tsv").read_text().splitlines()[0].split("\t")[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize("facts", [False, True])
def test_a_new_entity_is_asked_about_without_training(project: Path, facts: bool) -> None:
    config, runs = project / "mocme.yaml", project / "data/runs"
    run = (runs / "newest").resolve()
    relation = (project / "train.tsv").read_text().splitlines()[0].split("\t")[1]
    before = contents(run)
    add_entity(project, a_thing(project), facts)
    command = mocme("place", config, "--run", run)
    assert command.exit_code == 2
    assert "1 contents of the modality 'text' that were not extracted yet" in command.stderr

    assert small("extract", config).exit_code == 0
    placed = mocme("place", config, "--run", run, "--json")
    assert placed.exit_code == 0, placed.stderr
    folder = Path(placed.json["run_dir"])
    assert placed.json == {"run_dir": str(run / "placed"), "new": 1, "facts": 2 * facts}
    words = ("--run", folder, "--head", "the late one", "--relation", relation, "--json")
    answered = mocme("predict", *words)
    assert answered.exit_code == 0, answered.stderr
    assert len(answered.json["answers"]) == 10
    assert any(answer["known"] for answer in answered.json["answers"]) <= facts
    again = mocme("place", config, "--run", run, "--json")
    assert again.json == placed.json
    assert contents(run) == before, "the run itself stays as it was"


def test_a_dataset_without_new_entities(project: Path) -> None:
    run = project / "data/runs/newest"
    command = mocme("place", project / "mocme.yaml", "--run", run)
    assert command.exit_code == 0, command.stderr
    assert command.stdout.strip() == "nothing new: the run knows every entity of the dataset"
    assert not (run / "placed").exists()


def test_a_path_with_brackets_is_printed_as_it_is(project: Path) -> None:
    """Rich would take `[bold]` for markup, and leave it out."""
    out = project / "[bold]found.csv"
    run = project / "data/runs/newest"
    command = mocme("predict", "--run", run, "--out", out, "-k", 1)
    assert f"triples written to {out}\n" in command.stdout
