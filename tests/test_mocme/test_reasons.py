"""`mocme predict --why`: facts like an answer, and the media of its entities."""

import json
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from small_runs import Command, mocme

from model.prediction.wording import readable_relation


@pytest.fixture(scope="module")
def question(first_run: tuple[Path, Command]) -> list[str]:
    """Ask of an entity that has a picture."""
    folder, _ = first_run
    entities = map(json.loads, (folder / "entities.jsonl").read_text().splitlines())
    pictured = {entity["id"] for entity in entities if entity.get("image")}
    triples = (line.split("\t") for line in (folder / "train.tsv").read_text().splitlines())
    head, relation = next((h, r) for h, r, _ in triples if h in pictured)
    return ["--head", head, "--relation", relation, "-k", "4"]


def ask(project: Path, *words: str) -> Command:
    command = mocme("predict", "--run", project / "data/runs/newest", *words)
    assert command.exit_code == 0, command.stderr
    return command


def entity_of(project: Path, name: str) -> dict[str, Any]:
    lines = map(json.loads, (project / "entities.jsonl").read_text().splitlines())
    return next(line for line in lines if line["id"] == name)


def test_every_answer_is_told_with_facts_and_media(project: Path, question: list[str]) -> None:
    answers = ask(project, *question, "--json").json["answers"]
    lines = ask(project, *question, "--why").stdout.splitlines()
    asked = entity_of(project, question[1])["name"]
    assert asked != question[1]
    reasons = lines[lines.index(f"asked of {asked}") :]
    for number, answer in enumerate(answers, start=1):
        start = reasons.index(f"{number}. {answer['name']}")
        assert reasons[start + 1].startswith("   weights: ")
        relation = readable_relation(question[3])
        facts = [
            f"   like: {it['head_name']} {relation} {it['tail_name']} ({it['similarity']:.2f})"
            for it in answer["nearest_facts"]
        ]
        own = list(takewhile(lambda line: line.startswith("   "), reasons[start + 1 :]))
        assert [line for line in own if line.startswith("   like: ")] == facts
        rule = answer["rule"]
        rules = [f"   rule: {rule['sentence']}"] if rule else []
        assert [line for line in own if line.startswith("   rule: ")] == rules
    assert any(answer["nearest_facts"] for answer in answers)


def test_of_several_relations_answers_are_told_as_triples(
    project: Path, question: list[str]
) -> None:
    words = [*question[:2], "-k", "3"]
    answers = ask(project, *words, "--json").json["answers"]
    lines = ask(project, *words, "--why").stdout.splitlines()
    for number, answer in enumerate(answers, start=1):
        relation = readable_relation(answer["relation"])
        assert f"{number}. {answer['head_name']} {relation} {answer['tail_name']}" in lines


def test_media_are_files_that_are_there(project: Path, question: list[str]) -> None:
    found = ask(project, *question, "--why", "--json").json
    asked = found["media"][question[1]]
    pictures = entity_of(project, question[1])["image"]
    assert [Path(path).relative_to(project) for path in asked["image"]] == [*map(Path, pictures)]
    assert all(Path(path).is_file() for path in asked["image"])
    numbers = list(entity_of(project, question[1]).get("numeric", {}).items())
    told = asked.get("numbers", [""])[0]
    assert told == ", ".join(f"{name} {value}" for name, value in numbers[:8])
    assert set(found["media"]) == {question[1], *(it["entity"] for it in found["answers"])}
    assert f"   image: {asked['image'][0]}" in ask(project, *question, "--why").stdout.splitlines()


def test_without_the_dataset_facts_are_told_and_why_there_are_no_media(
    project: Path, question: list[str], tmp_path: Path
) -> None:
    run_dir = (project / "data/runs/newest").resolve()
    alone = shutil.copytree(run_dir, tmp_path / "alone" / run_dir.name)
    command = mocme("predict", "--run", alone, *question, "--why")
    assert command.exit_code == 0, command.stderr
    assert "   like: " in command.stdout
    assert "no media: " in command.stderr
    assert "   image: " not in command.stdout


def test_without_why_there_are_no_media(project: Path, question: list[str]) -> None:
    assert "media" not in ask(project, *question, "--json").json
