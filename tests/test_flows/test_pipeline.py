"""The whole pipeline on a small sample: what runs, what is skipped, and what is left behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image
from small_runs import SMALL, Command, mocme, settings, small

from flows.stages.predictions import read_predictions
from mocme.report import write
from mocme.report.figure import DrawnFigure
from storage.datasets.dataset import read_dataset

ALL = ["extract", "train", "evaluate", "predict"]
BROKEN = 5  # files that the sample breaks on purpose


def run(project: Path, *pairs: str) -> Command:
    return small("run", project / "mocme.yaml", *pairs)


def ran(command: Command) -> list[str]:
    assert command.exit_code == 0, command.stderr
    assert set(command.json["stages"].values()) <= {"ran", "skipped"}
    return [stage for stage in ALL if command.json["stages"][stage] == "ran"]


def num_new(command: Command) -> dict[str, int]:
    new = {name: counts["new"] for name, counts in command.json["extracted"].items()}
    return {name: count for name, count in new.items() if count}


def a_picture(project: Path) -> Path:
    """Return a sound picture that only one entity lists."""
    for entity in read_dataset(project).entities:
        for name in entity.fields.get("image") or ():  # type: ignore[attr-defined]
            if name.endswith(".png") and "broken" not in name:
                return project / str(name)
    pytest.fail("the sample has no picture")


def test_the_first_run_extracts_everything_and_runs_every_stage(
    first_run: tuple[Path, Command],
) -> None:
    folder, command = first_run
    assert ran(command) == ALL
    dataset = read_dataset(folder)
    for name, counts in command.json["extracted"].items():
        listed = [entity.fields.get(name) for entity in dataset.entities]
        if name in ("image", "audio", "video"):
            references = sum(len(paths) for paths in listed if isinstance(paths, list))
            assert counts["new"] + counts["cached"] + counts["failed"] == references
            assert counts["missing"] == sum(not paths for paths in listed)
    failed = sum(counts["failed"] for counts in command.json["extracted"].values())
    assert failed == BROKEN


def test_the_json_object_is_all_of_standard_output(first_run: tuple[Path, Command]) -> None:
    _, command = first_run
    assert command.stdout.count("\n") == 1
    assert set(command.json) == {"extracted", "stages", "failures", "metrics", "run_dir"}
    assert set(command.json["metrics"]) == {"test", "test_clean", "valid"}
    for metrics in command.json["metrics"].values():
        assert {"mrr", "hits_at_1", "hits_at_3", "hits_at_10"} <= set(metrics)
        assert 0 < metrics["mrr"] <= 1


def test_the_run_folder_says_everything(first_run: tuple[Path, Command]) -> None:
    folder, command = first_run
    run_dir = Path(command.json["run_dir"])
    assert run_dir == (folder / "data/runs/newest").resolve()
    evaluation = json.loads((run_dir / "evaluation.json").read_text())
    assert evaluation["test"]["mrr"] == command.json["metrics"]["test"]["mrr"]
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["train"]["epochs"] == 2
    assert (run_dir / config["dataset"]).resolve() == folder
    graph = read_dataset(folder).graph
    known = {tuple(row) for split in ("train", "valid", "test") for row in split_ids(folder, split)}
    predictions = read_predictions(run_dir / "predictions.tsv")
    assert {it.relation for it in predictions} == set(graph.relations)
    for found in predictions:
        assert {found.head, found.tail} <= set(graph.entities)
        assert (found.head, found.relation, found.tail) not in known
        assert 0 <= found.probability <= 1
        assert sum(found.weights.values()) == pytest.approx(1, abs=1e-3)


def split_ids(folder: Path, split: str) -> list[list[str]]:
    return [line.split("\t") for line in (folder / f"{split}.tsv").read_text().splitlines()]


def test_a_second_run_in_a_moved_folder_does_nothing(project: Path) -> None:
    command = run(project)
    assert ran(command) == []
    assert num_new(command) == {}
    assert Path(command.json["run_dir"]).is_relative_to(project)


def test_an_edited_picture_costs_one_item_and_the_stages_behind(project: Path) -> None:
    Image.new("RGB", (48, 48), (1, 2, 3)).save(a_picture(project))
    command = run(project)
    assert num_new(command) == {"image": 1}
    assert ran(command) == ALL
    assert "modalities.image.content changed" in " ".join(command.stderr.split())
    assert ran(run(project)) == []


def test_a_renamed_picture_costs_nothing(project: Path) -> None:
    picture = a_picture(project)
    renamed = picture.with_name("renamed.png")
    picture.rename(renamed)
    entities = project / "entities.jsonl"
    listed = [str(path.relative_to(project)) for path in (picture, renamed)]
    entities.write_text(entities.read_text().replace(*listed))
    assert ran(run(project)) == []


def test_a_hyper_parameter_costs_no_extraction(project: Path) -> None:
    command = run(project, "train.learning_rate=0.05", "train.final=selected")
    assert ran(command) == ["train", "evaluate", "predict"]
    assert "train.learning_rate 0.1 -> 0.05" in " ".join(command.stderr.split())
    assert ran(run(project)) == []  # the first run is still there


def test_a_prediction_setting_costs_the_prediction(project: Path) -> None:
    assert ran(run(project, "predict.k=2")) == ["predict"]


def test_where_and_how_it_runs_costs_nothing(project: Path) -> None:
    pairs = ["train.device=cpu", "extract.batch_size=7", "extract.timeout_seconds=9"]
    assert ran(run(project, *pairs)) == []


@pytest.mark.parametrize(
    ("output", "stages"),
    [
        ("evaluation.json", ["evaluate"]),
        ("predictions.tsv", ["predict"]),
        ("final/scoring.safetensors", ["train", "evaluate", "predict"]),
    ],
)
def test_a_deleted_output_reruns_its_stage(project: Path, output: str, stages: list[str]) -> None:
    next((project / "data/runs/newest").resolve().rglob(output)).unlink()
    assert ran(run(project)) == stages
    assert ran(run(project)) == []


def test_an_unused_entry_of_the_store_may_be_deleted(project: Path) -> None:
    for index in (project / "data/features/files").iterdir():
        index.unlink()
    assert ran(run(project)) == []


def test_the_log_for_tensorboard_may_be_deleted(project: Path) -> None:
    folder = (project / "data/runs/newest").resolve()
    assert "metrics.jsonl" in json.loads((folder / "stages/train.json").read_text())["outputs"]
    shutil.rmtree(folder / "tensorboard")
    assert ran(run(project)) == []


def test_structure_alone_needs_no_extraction(project: Path) -> None:
    command = run(project, "modalities={}", "train.final=selected")
    assert command.json["extracted"] == {}
    assert ran(command) == ["train", "evaluate", "predict"]


def test_a_test_split_that_leaks_as_a_whole_has_no_clean_metrics(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "draw_figure", lambda figure: DrawnFigure("<svg></svg>", {}))
    shutil.copyfile(extracted / "train.tsv", extracted / "test.tsv")
    config = extracted / "mocme.yaml"
    shown = mocme("run", config, *settings(*SMALL, "train.final=selected"))
    assert shown.exit_code == 0, shown.stderr
    clean, published = (
        next(line for line in shown.stdout.splitlines() if f"│ {split} " in line)
        for split in ("test_clean", "test")
    )
    assert re.findall(r"\d", clean) == []
    assert re.findall(r"0\.\d{4}", published)
    reported = mocme("report", extracted / "data" / "runs" / "newest")
    assert reported.exit_code == 0, reported.stderr
    compared = mocme("ablate", config, "--seeds", 1, *settings(*SMALL))
    assert compared.exit_code == 2
    assert "found no triple of test that stands in neither train nor valid" in compared.stderr


def test_too_many_failures_fail_the_run_after_everything_good_is_stored(project: Path) -> None:
    command = run(project, "extract.max_failure_rate=0", "modalities.image.size=32")
    assert command.exit_code == 1
    assert command.json["stages"] == {"extract": "failed"}
    assert command.json["extracted"]["image"]["new"] > 0
    assert "max_failure_rate" in command.json["error"]
    assert "Traceback" not in command.stderr
    stored = small("extract", project / "mocme.yaml", "modalities.image.size=32")
    assert num_new(stored) == {}


def test_the_stages_run_one_by_one(project: Path) -> None:
    config = project / "mocme.yaml"
    other = ("train.seed=5", "train.final=selected")
    extracted = small("extract", config, *other).json
    assert extracted["stages"] == {"extract": "skipped"}
    assert set(extracted) == {"extracted", "stages", "failures"}
    before = small("evaluate", config, *other)
    assert before.exit_code == 2
    assert "mocme train CONFIG" in before.json["error"]
    assert small("train", config, *other).json["stages"]["train"] == "ran"
    assert small("evaluate", config, *other).json["stages"] == {"evaluate": "ran"}
    assert small("predict", config, *other).json["stages"] == {"predict": "ran"}
    assert ran(run(project, *other)) == []
    evaluated = mocme("evaluate", "--run", project / "data/runs/newest", "--json")
    assert evaluated.json["stages"] == {"evaluate": "skipped"}


def test_a_question_is_answered_with_weights(project: Path) -> None:
    head, relation, _ = split_ids(project, "test")[0]
    question = ("--head", head, "--relation", relation, "-k", 4, "--json")
    command = mocme("predict", project / "mocme.yaml", *question, *settings(*SMALL))
    assert command.exit_code == 0, command.stderr
    answers = command.json["answers"]
    assert len(answers) == 4
    probabilities = [answer["probability"] for answer in answers]
    assert probabilities == sorted(probabilities, reverse=True)
    for answer in answers:
        assert sum(answer["modality_weights"].values()) == pytest.approx(1, abs=1e-3)


def test_a_question_may_name_an_entity_as_people_call_it(project: Path) -> None:
    dataset = read_dataset(project)
    head, relation, _ = split_ids(project, "test")[0]
    name = next(entity.name for entity in dataset.entities if entity.id == head)
    newest = project / "data/runs/newest"
    by_id, by_name = (
        mocme("predict", "--run", newest, "--head", who, "--relation", relation, "--json")
        for who in (head, name.upper())
    )
    assert by_id.json["answers"] == by_name.json["answers"]
    table = mocme("predict", "--run", newest, "--tail", head, "--relation", relation)
    assert "probability" in table.stdout


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        (("--head", "nobody at all", "--relation", "lives_in"), "head: found 'nobody at all'"),
        (("--head", "thing", "--relation", "livesin"), "did you mean 'lives_in'"),
    ],
)
def test_a_misspelt_question_gets_help(
    project: Path, question: tuple[str, ...], wanted: str
) -> None:
    if "thing" in question:
        head = split_ids(project, "test")[0][0]
        question = (question[0], head, *question[2:])
    command = mocme("predict", "--run", project / "data/runs/newest", *question)
    assert command.exit_code == 2
    assert wanted in command.stderr
    assert command.stdout == ""


def test_a_relation_that_is_not_there_is_refused_before_any_work(project: Path) -> None:
    command = run(project, "predict.relations=[livesin]")
    assert command.exit_code == 2
    assert command.json["stages"] == {}
    assert "did you mean 'lives_in'" in command.json["error"]


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (lambda p: (p / "test.tsv").write_text("a\tb\n"), "test.tsv, line 1"),
        (lambda p: (p / "entities.jsonl").write_text("{\n"), "entities.jsonl, line 1"),
        (lambda p: (p / "mocme.yaml").write_text("dataset: nowhere\n"), "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    project: Path, damage: Callable[[Path], object], wanted: str
) -> None:
    damage(project)
    command = run(project)
    assert command.exit_code == 2
    assert wanted in command.json["error"]
    errors = [line for line in command.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in command.stderr


def in_a_process(project: Path, *pairs: str, server: str | None) -> Command:
    """Run the pipeline as a user does: Prefect's log as it is, with or without a server."""
    ours = {"PREFECT_API_URL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    if server is not None:
        environment["PREFECT_API_URL"] = server
    program = Path(sys.executable).with_name("mocme")
    finished = subprocess.run(
        [program, "run", "mocme.yaml", "--json", *settings(*SMALL, *pairs)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return Command(finished.returncode, finished.stdout, finished.stderr)


def test_a_laptop_without_a_server_needs_one_command(project: Path) -> None:
    command = in_a_process(project, server=None)
    assert ran(command) == []
    assert "Traceback" not in command.stderr


def test_an_error_inside_a_flow_is_one_line(project: Path, prefect_server: str) -> None:
    limit = ("extract.max_failure_rate=0", "modalities.image.size=32")
    command = in_a_process(project, *limit, server=prefect_server)
    assert command.exit_code == 1
    assert command.json["stages"] == {"extract": "failed"}
    assert "Traceback" not in command.stderr
    assert sum(line.startswith("error:") for line in command.stderr.splitlines()) == 1
    assert f"error: {command.json['error']}" in command.stderr
