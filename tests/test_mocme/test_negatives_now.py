"""A triple that a user finds to be wrong is no answer from then on, without another training."""

from pathlib import Path

import pytest
from small_runs import SMALL, Command, mocme, settings, small

from mocme import Predictor

Triple = tuple[str, str, str]


@pytest.fixture
def wrong(project: Path) -> Triple:
    """The first answer to a question, which the user then lists as wrong."""
    predictor = Predictor(newest(project))
    best = next(iter(predictor.missing_triples(k=1)))
    (project / "negatives.tsv").write_text(f"{best.head}\t{best.relation}\t{best.tail}\n")
    return best.head, best.relation, best.tail


def newest(project: Path) -> Path:
    return (project / "data" / "runs" / "newest").resolve()


def asked(project: Path, wrong: Triple, *words: object) -> Command:
    head, relation, _ = wrong
    run = ("--run", newest(project))
    return mocme("predict", *run, "--head", head, "--relation", relation, "--json", *words)


def test_it_is_no_answer_at_once(project: Path, wrong: Triple) -> None:
    answers = asked(project, wrong, "-k", 1000).json["answers"]
    assert answers
    assert wrong[2] not in {it["entity"] for it in answers}


def test_only_predictions_are_stale_and_made_anew(project: Path, wrong: Triple) -> None:
    ran = small("run", project / "mocme.yaml")
    assert ran.exit_code == 0, ran.stderr
    stages = ran.json["stages"]
    assert {name for name, status in stages.items() if status == "ran"} == {"predict"}
    rows = (newest(project) / "predictions.tsv").read_text().splitlines()
    assert "\t".join(wrong) not in ["\t".join(row.split("\t")[0:5:2]) for row in rows]


def test_the_status_says_why(project: Path, wrong: Triple) -> None:
    found = small("status", project / "mocme.yaml").json["stages"]
    assert found["train"]["state"] == "fresh"
    assert found["predict"]["reasons"] == ["negatives.tsv is new"]


def test_it_is_an_answer_again_when_it_is_listed_no_more(project: Path, wrong: Triple) -> None:
    (project / "negatives.tsv").write_text("")
    answers = asked(project, wrong, "-k", 1000).json["answers"]
    assert wrong[2] in {it["entity"] for it in answers}


def test_names_that_came_after_the_training_are_no_trouble(project: Path, wrong: Triple) -> None:
    with (project / "entities.jsonl").open("a") as file:
        file.write('{"id": "newcomer"}\n')
    with (project / "negatives.tsv").open("a") as file:
        file.write(f"newcomer\t{wrong[1]}\t{wrong[2]}\n")
    assert wrong[2] not in {it["entity"] for it in asked(project, wrong).json["answers"]}


def test_a_broken_file_is_an_error(project: Path, wrong: Triple) -> None:
    (project / "negatives.tsv").write_text("two\tcolumns\n")
    for command in (asked(project, wrong), small("run", project / "mocme.yaml")):
        assert command.exit_code == 2
        assert "negatives.tsv, line 1" in command.stderr


def test_a_link_out_of_the_folder_is_refused(project: Path, wrong: Triple, tmp_path: Path) -> None:
    outside = tmp_path / "outside.tsv"
    (project / "negatives.tsv").rename(outside)
    (project / "negatives.tsv").symlink_to(outside)
    command = mocme("predict", project / "mocme.yaml", *settings(*SMALL))
    assert command.exit_code == 2
    assert "negatives.tsv" in command.stderr


def test_a_run_without_its_dataset_keeps_those_it_was_made_with(
    project: Path, wrong: Triple
) -> None:
    run = newest(project)
    kept = run.parent.parent.parent / "data"
    moved = kept.rename(project.parent / "runs-alone")
    for file in project.iterdir():
        if file.is_file():
            file.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.parent)
        found = mocme("predict", "--run", moved / "runs" / run.name, "--head", wrong[0], "--json")
    assert found.exit_code == 0, found.stderr
