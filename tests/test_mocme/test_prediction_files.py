"""`mocme predict --out`: every format holds the same triples, all missing from the graph."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from small_runs import mocme, small

from flows.stages.predictions import Prediction, PredictionFileError, read_predictions
from mocme.exporting.prediction_files import write_predictions
from model.prediction.answers import AppliedRule, NearFact, PredictedTriple
from model.prediction.predictor import Predictor
from storage.datasets.graph import SPLITS

K = 4
NAMES = {
    *("head", "head_name", "relation", "tail", "tail_name", "nearest_head", "nearest_tail"),
    "known_answers",
}


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    dialect = "excel" if path.suffix == ".csv" else "excel-tab"
    found = csv.DictReader(text.splitlines(), dialect=dialect)
    return [
        {name: value if name in NAMES else parsed(name, value) for name, value in row.items()}
        for row in found
    ]


def parsed(name: str, value: str) -> str | float | None:
    """What a cell that may be empty holds."""
    if value == "":
        return None
    return value if name == "rule" else float(value)


def write(project: Path, out: Path, *options: object) -> list[dict[str, Any]]:
    run = project / "data/runs/newest"
    command = mocme("predict", "--run", run, "--out", out, "-k", K, "--json", *options)
    assert command.exit_code == 0, command.stderr
    rows = read(out)
    assert command.json["triples"] == len(rows)
    return rows


def test_all_formats_hold_the_same(project: Path, tmp_path: Path) -> None:
    suffixes = (".csv", ".tsv", ".jsonl", ".parquet")
    first, *others = [write(project, tmp_path / f"found{suffix}") for suffix in suffixes]
    assert all(rows == first for rows in others)
    graph = Predictor(project / "data/runs/newest").graph
    known = {tuple(triple) for split in SPLITS for triple in graph.split(split).tolist()}
    rows = {name: row for row, name in enumerate(graph.entities)}
    relations = {name: row for row, name in enumerate(graph.relations)}
    for row in first:
        triple = (rows[row["head"]], relations[row["relation"]], rows[row["tail"]])
        assert triple not in known
        assert row["head_name"] == graph.names[triple[0]]
        assert 0 < row["probability"] <= 1
        weights = [value for name, value in row.items() if name.startswith("weight_")]
        assert sum(weights) == pytest.approx(1, abs=1e-5)
        fact = (rows[row["nearest_head"]], triple[1], rows[row["nearest_tail"]])
        assert fact in set(map(tuple, graph.train.tolist()))
        assert 0 < row["similarity"] <= 1.000001
        assert (row["rule"] is None) == (row["rule_confidence"] is None)
    counts = {name: sum(row["relation"] == name for row in first) for name in graph.relations}
    assert set(counts.values()) == {K}


def test_one_relation_in_more_than_one_group(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mocme.exporting.prediction_files._ROWS_AT_ONCE", 3)
    relation = Predictor(project / "data/runs/newest").graph.relations[0]
    rows = write(project, tmp_path / "one.parquet", "--relation", relation)
    assert [row["relation"] for row in rows] == [relation] * K
    assert parquet.ParquetFile(tmp_path / "one.parquet").num_row_groups == 2
    chances = [row["probability"] for row in rows]
    assert chances == sorted(chances, reverse=True)


def triple(
    head: str,
    fact: tuple[NearFact, ...],
    rule: AppliedRule | None = None,
    known: tuple[str, ...] = (),
) -> PredictedTriple:
    weights, experts = {"text": 0.75, "x y": 0.25}, {"text": [0.5, 0.25]}
    return PredictedTriple(head, "a name", "r", "t", "", 0.25, weights, experts, fact, rule, known)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    near = NearFact("n", "", "\\m", "", 0.5)
    rule = AppliedRule(("r s", "inverse of \tr"), 0.125)
    known = ("k 1", "\tk")
    made = [triple('a "quoted"\tid', (near,), None, known), triple("b", (), rule)]
    write_predictions(tmp_path / "x.tsv", made)
    shares = {"text": 0.75, "x y": 0.25}
    assert read_predictions(tmp_path / "x.tsv") == [
        Prediction('a "quoted"\tid', "r", "t", 0.25, ("n", "\\m", 0.5), None, shares, known),
        Prediction("b", "r", "t", 0.25, None, ("r s, inverse of \tr", 0.125), shares),
    ]


def test_a_file_without_the_columns_of_rules_and_known_answers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    write_predictions(path, [triple("a", (), known=("k",))])
    rows = list(csv.DictReader(path.read_text().splitlines(), dialect="excel-tab"))
    with path.open("w", newline="") as file:
        names = [name for name in rows[0] if not name.startswith(("rule", "known"))]
        assert len(names) == len(rows[0]) - 3
        writer = csv.DictWriter(file, names, dialect="excel-tab", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    found = [(it.head, it.rule, it.known_answers) for it in read_predictions(path)]
    assert found == [("a", None, ())]


def test_whoever_comes_first_a_column_has_one_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first group has neither a fact nor a rule, and the second has."""
    monkeypatch.setattr("mocme.exporting.prediction_files._ROWS_AT_ONCE", 1)
    made = [
        triple("a", ()),
        triple("b", (NearFact("n", "", "m", "", 0.5),), AppliedRule(("r",), 0.5)),
    ]
    write_predictions(tmp_path / "x.parquet", made)
    rows = read(tmp_path / "x.parquet")
    assert [(row["nearest_head"], row["similarity"]) for row in rows] == [(None, None), ("n", 0.5)]
    assert [(row["rule"], row["rule_confidence"]) for row in rows] == [(None, None), ("r", 0.5)]


@pytest.mark.parametrize("damage", ["one cell", "a\tb\tc\td\te\tmuch\tf\tg\t1\tr\t1\t1", "\t" * 11])
def test_a_damaged_line_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.tsv"
    write_predictions(path, [triple("a", ())])
    path.write_text(path.read_text() + damage + "\n")
    with pytest.raises(PredictionFileError, match=r"x.tsv: found a damaged line, 3 "):
        read_predictions(path)


def test_all_completes_the_graph_with_a_name_for_the_file_or_without(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write(project, tmp_path / "named.csv", "--all")
    monkeypatch.chdir(project)
    command = mocme("predict", "--run", "data/runs/newest", "--all", "-k", K)
    assert command.exit_code == 0, command.stderr
    assert read(project / "predictions.csv") == named
    graph = Predictor(project / "data/runs/newest").graph
    assert {row["relation"] for row in named} == set(graph.relations)
    again = mocme("predict", "--run", "data/runs/newest", "--all", "-k", K)
    assert again.exit_code == 0, again.stderr
    (project / "predictions.csv").write_text("head,mine\n")
    refused = mocme("predict", "--run", "data/runs/newest", "--all", "-k", K)
    assert refused.exit_code == 2
    assert "predictions.csv: found another file; allowed" in refused.stderr
    assert (project / "predictions.csv").read_text() == "head,mine\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ["--out", "x.xlsx"],
            "found the suffix '.xlsx'; allowed: .csv, .tsv, .jsonl, .parquet, .nt, .html",
        ),
        (["--out", "none/x.csv"], "none/x.csv: found No such file or directory"),
        (["--out", "x.csv", "--relation", "nonsense"], "relation: found 'nonsense'"),
        (["--out", "x.csv", "--head", "nobody"], "head: found 'nobody'"),
        (["--out", "x.csv", "--head", "a", "--why"], "give it without --out"),
        (["--out", "x.nt", "--head", "a"], "allowed: .csv, .tsv, .jsonl, .parquet"),
        (["--out", "x.html", "--head", "a"], "allowed: .csv, .tsv, .jsonl, .parquet"),
        (["--out", "x.html", "--spreadsheet-safe"], "allowed: .csv, .tsv"),
        (["--order", "informative", "--head", "a"], "--order is for missing triples"),
        (["--all", "--head", "a"], "give it without --head and --tail"),
        (["--all", "--why"], "--why is for a question"),
        (["--all", "--relation", "eats"], "give it without --relation"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(project)
    before = set(project.iterdir())
    command = mocme("predict", "--run", "data/runs/newest", *words)
    assert command.exit_code == 2
    assert reason in command.stderr.replace("\n", " ")
    assert set(project.iterdir()) == before


FOREIGN = {
    "triples.tsv": "lion\tlives_in\tsavanna\n",
    "entities.jsonl": '{"id": "lion", "name": "Lion"}\n',
    "table.csv": "head,relation,tail\nlion,lives_in,savanna\n",
    "dump.nt": "<urn:a> <urn:b> <urn:c> .\n<urn:a> <urn:b> <urn:d> .\n",
    "numbers.parquet": "PAR1 and no more",
    "list.jsonl": "[1]\n",
    "latin.csv": "\udce9t\udce9\n",  # no UTF-8
    "page.html": "<!doctype html>\n<title>mine</title>\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_no_file_but_older_predictions_is_replaced(
    project: Path, tmp_path: Path, name: str
) -> None:
    out, run = tmp_path / name, project / "data/runs/newest"
    mine = FOREIGN[name].encode(errors="surrogateescape")
    out.write_bytes(mine)
    refused = mocme("predict", "--run", run, "--all", "--out", out)
    assert refused.exit_code == 2
    assert f"{name}: found another file" in refused.stderr
    assert out.read_bytes() == mine

    out.write_bytes(b"")
    relation = Predictor(run).graph.relations[0]
    words = ("--run", run, "--relation", relation, "--out", out, "-k", 1)
    for _ in range(2):
        assert mocme("predict", *words).exit_code == 0


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".nt"])
def test_where_nothing_is_probable_enough_there_is_a_header(
    project: Path, tmp_path: Path, suffix: str
) -> None:
    out, run = tmp_path / f"x{suffix}", project / "data/runs/newest"
    words = ("--run", run, "--relation", Predictor(run).graph.relations[0], "--out", out)
    for _ in range(2):  # the second time, it replaces what it has written without a row
        command = mocme("predict", *words, "--min-probability", 1, "--json")
        assert command.exit_code == 0, command.stderr
        assert command.json["triples"] == 0
    if suffix in (".jsonl", ".nt"):
        assert out.read_bytes() == b""
        return
    names = columns_of(out)
    assert mocme("predict", *words, "-k", 1).exit_code == 0
    assert columns_of(out) == names


def columns_of(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(parquet.read_schema(path).names)
    with path.open(newline="") as file:
        return next(csv.reader(file, "excel" if path.suffix == ".csv" else "excel-tab"))


def test_files_of_no_triples_from_earlier_versions_are_replaced(
    project: Path, tmp_path: Path
) -> None:
    run = project / "data/runs/newest"
    parquet.write_table(pyarrow.table({}), tmp_path / "x.parquet")
    (tmp_path / "x.csv").touch()
    for name in ("x.parquet", "x.csv"):
        assert mocme("predict", "--run", run, "--out", tmp_path / name, "-k", 1).exit_code == 0
        assert "head" in columns_of(tmp_path / name)


def test_the_stage_leaves_a_header_too(project: Path) -> None:
    command = small("predict", project / "mocme.yaml", "predict.relations=[]")
    assert command.exit_code == 0, command.stderr
    found = project / "data/runs/newest/predictions.tsv"
    assert read_predictions(found) == []
    assert columns_of(found)[:2] == ["head", "head_name"]
