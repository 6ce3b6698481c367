"""The command line: help, exit codes, what goes to which stream, what start-up imports."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from small_runs import Command, mocme, settings

from storage.datasets.dataset import read_dataset
from storage.datasets.graph import SPLITS

COMMANDS = [
    ("sample",),
    ("run",),
    ("extract",),
    ("train",),
    ("evaluate",),
    ("predict",),
    ("report",),
    ("audit",),
    ("relations",),
    ("store", "stats"),
    ("store", "verify"),
    ("store", "gc"),
    ("store", "import"),
    ("store", "export"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = mocme(*command, "--help")
    assert result.exit_code == 0
    assert f"Example:  mocme {' '.join(command)} " in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("rnu",),
        ("run",),
        ("run", "a", "b"),
        ("run", "config.yaml", "--quick"),
        ("predict",),
        ("predict", "--relation", "likes"),
        ("predict", "config.yaml", "--why"),
        ("predict", "--relation", "likes", "--out", "x.csv", "--why"),
        ("predict", "--relation", "likes", "--head", "a", "--tail", "b"),
        ("predict", "config.yaml", "--run", "data/runs/newest"),
        ("predict", "config.yaml", "--run", "runs", "--head", "a", "--relation", "likes"),
        ("predict", "--head", "a", "--relation", "likes", "-k", "0"),
        ("evaluate", "config.yaml", "--run", "data/runs/newest"),
        ("sample",),
        ("sample", "folder", "--seed", "-1"),
        ("store",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert mocme(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "none.yaml"),
        ("extract", "none.yaml", "--json"),
        ("audit", "nowhere"),
        ("audit", "none.yaml"),
        ("relations", "none.yaml"),
        ("evaluate",),
        ("evaluate", "--run", "nowhere"),
        ("predict", "--head", "a", "--relation", "likes"),
        ("predict", "none.yaml", "--head", "a", "--relation", "likes"),
        ("report",),
        ("report", "nowhere"),
        ("store", "stats", "nowhere"),
        ("store", "verify", "nowhere"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_one_line_on_standard_error_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = mocme(*arguments)
    assert command.exit_code == 2
    errors = [line for line in command.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in command.stderr
    if "--json" in arguments:
        assert command.json["error"] in errors[0]


def test_every_problem_of_a_config_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("dataset: d\ntrain: {epocs: 3}\nmodel: {dim: 3}\n")
    command = mocme("run", path, *settings("predict.k=0"))
    assert command.exit_code == 2
    assert sum(line.startswith("error: ") for line in command.stderr.splitlines()) == 3


def test_a_sample_is_written_once(tmp_path: Path) -> None:
    assert mocme("sample", tmp_path / "s", "--things", 60, "--seed", 3).exit_code == 0
    again = mocme("sample", tmp_path / "s")
    assert again.exit_code == 2
    assert "not empty" in again.stderr


def test_an_audit_counts_and_writes_the_clean_variant(project: Path, tmp_path: Path) -> None:
    train, test = (project / f"{split}.tsv" for split in ("train", "test"))
    leak = train.read_text().splitlines()[0]
    test.write_text(test.read_text() + leak + "\n")
    found = mocme("audit", project, "--json", "--write-clean", tmp_path / "clean")
    assert found.json["leaks"]["test_in_train"]["lines"] == 1
    assert mocme("audit", tmp_path / "clean", "--json").json["is_clean"]
    assert "lines that stand in train" in mocme("audit", project).stdout


def test_an_audit_names_what_may_be_misspelt(project: Path) -> None:
    with (project / "train.tsv").open("a") as file:
        head, relation, tail = (project / "train.tsv").read_text().splitlines()[0].split("\t")
        file.write(f"{head}\t{relation}z\t{tail}\n")
    with (project / "entities.jsonl").open("a") as file:
        file.write('{"id": "newcomer", "txet": "A thing."}\n')
    rare = mocme("audit", project, "--json").json["rare"]
    assert [(it["of"], it["name"], it["count"]) for it in rare] == [
        ("relation", f"{relation}z", 1),
        ("field", "txet", 1),
    ]
    assert [it["common"] for it in rare] == [relation, "text"]
    assert "Rare and almost as a common one: 2 of 2" in mocme("audit", project).stdout


def test_an_audit_lists_all_unknown_names_and_what_was_not_read(project: Path) -> None:
    (project / "questions.jsonl").write_text('{"head": "x"}\n')
    first = (project / "train.tsv").read_text().splitlines()[0].split("\t")
    (project / "negatives.tsv").write_text("\t".join(first) + "\n")
    found = mocme("audit", project, "--json").json
    assert found["negatives"] == {"distinct": 1, "train": 1, "valid": 0, "test": 0}
    names = ("head", "relation", "tail")
    stated = {**dict(zip(names, first, strict=True)), "splits": ["train"]}
    assert found["contradictions"] == [stated]
    assert found["unknown"] == []
    assert found["not_read"]["questions.jsonl"] == "its first line is no object with an 'id'"
    shown = mocme("audit", project)
    assert shown.exit_code == 0
    assert "of 1 negatives stand here" in shown.stdout
    assert "Stated to be true and to be wrong: 1 of 1" in shown.stdout
    assert "not read: questions.jsonl (its first line is no object with an 'id')" in shown.stdout
    with (project / "train.tsv").open("a") as file:
        file.writelines(f"\x1b[31m{i}\t{first[1]}\t{first[2]}\n" for i in range(12))
    shown = mocme("audit", project)
    assert shown.exit_code == 2
    assert "and 11 more unknown entities in 12 lines: `mocme audit " in shown.stderr
    assert all(f"\\x1b[31m{i} " in shown.stdout for i in range(12))
    assert "\x1b[31m" not in shown.stdout + shown.stderr
    found = mocme("audit", project, "--json").json
    assert [it["name"] for it in found["unknown"]] == [f"\x1b[31m{i}" for i in range(12)]
    assert found["error"] in shown.stderr


def test_an_audit_of_the_media_names_what_an_extraction_would_fail_on(project: Path) -> None:
    torn = "media/image/torn.png"  # a whole beginning: found by decoding alone
    found = mocme("audit", project, "--media", "--json")
    assert found.exit_code == 0
    fields = found.json["media"]["fields"]
    assert set(fields) == {"image", "audio", "video"}
    by_config = ["audit", project, "--media", "--config", project / "mocme.yaml"]
    assert mocme(*by_config, "--json").json == found.json
    failures = (project / "data/runs/failures.jsonl").read_text().splitlines()
    failed = {row["item"]: row["modality"] for row in map(json.loads, failures)}
    named = {
        path: field
        for field in fields
        for problem in fields[field]["problems"]
        for _, path in problem["first"]
    }
    assert named == {path: name for path, name in failed.items() if path != torn}
    shown = mocme(*by_config).stdout
    assert "an empty file" in shown
    assert "entities without media: " in shown


def test_an_audit_by_a_config_splits_as_the_config_does(tmp_path: Path) -> None:
    names = [f"e{number}" for number in range(40)]
    lines = [json.dumps({"id": name}) for name in names]
    (tmp_path / "entities.jsonl").write_text("\n".join(lines) + "\n")
    facts = [f"{name}\tafter\t{before}\n" for before, name in pairwise(names)]
    (tmp_path / "triples.tsv").write_text("".join(facts))
    (tmp_path / "c.yaml").write_text("{dataset: ., split_salt: other}")
    by_config = ["audit", tmp_path, "--media", "--config", tmp_path / "c.yaml"]
    counts = mocme(*by_config, "--json").json["splits"]
    graph = read_dataset(tmp_path, split_salt="other").graph
    assert {it: counts[it]["lines"] for it in SPLITS} == {it: len(graph.split(it)) for it in SPLITS}
    assert counts != mocme("audit", tmp_path, "--json").json["splits"]


def test_a_store_is_counted_and_damage_found(project: Path) -> None:
    store = project / "data/features"
    spaces = mocme("store", "stats", store, "--json").json["spaces"]
    assert {space["extractor"] for space in spaces} >= {"image_stats", "text_hash", "numeric"}
    assert sum(space["num_failures"] for space in spaces) > 0
    assert "image_stats" in mocme("store", "stats", store).stdout
    assert mocme("store", "verify", store, "--json") == Command(0, '{"problems": []}\n', "")

    data = next(store.glob("image_stats/*/data.mdb"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    damaged = mocme("store", "verify", store, "--json")
    assert damaged.exit_code == 1
    assert damaged.json["problems"][0]["space"] == str(data.parent)


NEVER_IMPORTED = {
    "help": (
        [["--help"], ["run", "--help"]],
        {"prefect", "torch", "numpy.random"},
    ),
    "studies": (
        [
            ["tune", "--help"],
            ["tune", "{project}/mocme.yaml", "--trials", "2", "--over", "model.dim=0..1"],
        ],
        {"prefect", "torch", "optuna", "matplotlib"},
    ),
    "datasets and stores": (
        [
            ["sample", "{tmp}/s", "--things", "60"],
            ["audit", "{project}"],
            ["audit", "{project}", "--media"],
            ["store", "stats", "{project}/data/features"],
            ["store", "verify", "{project}/data/features"],
            ["run", "{tmp}/none.yaml"],
        ],
        {"prefect", "torch"},
    ),
    "predict": (
        [["predict", "--run", "{project}/data/runs/newest", "--head", "?", "--relation", "?"]],
        {"prefect"},
    ),
}


@pytest.mark.parametrize("name", NEVER_IMPORTED)
def test_start_up_imports_only_what_the_commands_need(
    project: Path, tmp_path: Path, name: str
) -> None:
    """Those that need the same follow each other in one process."""
    commands, unwanted = NEVER_IMPORTED[name]
    given = [[word.format(tmp=tmp_path, project=project) for word in words] for words in commands]
    program = (
        "import json, sys\n"
        "from mocme.cli.app import app\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    try: app(words)\n"
        "    except SystemExit: pass\n"
        "    sys.stderr.write('\\nIMPORTED ' + json.dumps(sorted(sys.modules)) + '\\n')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    told = [it for it in finished.stderr.splitlines() if it.startswith("IMPORTED ")]
    for words, line in zip(commands, told, strict=True):
        assert not unwanted & set(json.loads(line.removeprefix("IMPORTED "))), words
