"""What Neo4j gets: nodes with all that entities list, facts, and predictions that are none."""

import csv
import shlex
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odd_graph import ENTITIES, IDS, NAMES, odd_dataset, odd_graph, predicted
from small_runs import mocme

from mocme.exporting.entity_content import EntityContent
from mocme.exporting.neo4j import Neo4jError, import_command, write_graph
from mocme.exporting.neo4j_nodes import NodeTable
from model.prediction.predictor import Predictor


def read_rows(path: Path, delimiter: str = ";") -> list[dict[str, Any]]:
    """Read a file as the manual says that the importer does: types, arrays, empty cells."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(set(header)) == len(header)
    types = [column.rpartition(":") if ":" in column else (column, "", "") for column in header]
    assert all(":" not in name for name, _, _ in types)
    return [
        {
            name or kind: as_typed(cell, kind, delimiter)
            for (name, _, kind), cell in zip(types, row, strict=True)
            if cell
        }
        for row in rows
    ]


def as_typed(cell: str, kind: str, delimiter: str) -> Any:
    if kind == "LABEL" or kind.endswith("[]"):
        return cell.split(delimiter)
    return {"double": float, "long": int, "boolean": lambda it: it == "true"}.get(kind, str)(cell)


def test_nodes_hold_what_entities_list(tmp_path: Path) -> None:
    nodes = NodeTable(odd_graph(), odd_dataset(tmp_path / "data"))
    assert nodes.array_delimiter not in ";|", "the motto and the picture hold them"
    write_graph(tmp_path / "out", odd_graph(), (), nodes)
    rows = read_rows(tmp_path / "out/nodes.csv", nodes.array_delimiter)
    assert [row["id"] for row in rows] == IDS
    assert [row["name"] for row in rows] == NAMES, "an attribute 'name' is none"
    assert [row["LABEL"] for row in rows] == [
        ["Entity", "Country", "a_b_2"],
        ["Entity", "a_b"],
        ["Entity", 'with "quotes", commas'],
        ["Entity", "two_lines"],
        ["Entity"],
        ["Entity"],
    ]
    first, second, third, *rest = rows
    assert first["text"] == "One; only."
    assert second["text"] == 'Says "x",\nthen y.'
    assert first["image"] == ENTITIES[0]["image"]
    assert third["audio"] == ["media/sound.ogg"]
    assert second["motto"] == ["first; part", "second | part"]
    assert third["motto"] == ["one"]
    assert (first["population"], second["population"]) == (67_391_582, 5)
    assert (first["area_km2_2"], second["area_km2"]) == (0.1, 2.5)
    assert first["name_2"] == 1
    assert first["big"] == 2**60 + 1
    assert second["huge"] == str(2**70 + 1)
    assert (second["a_b_2"], third["a_b"], third["text_2"]) == (-3, 1e-7, 4)
    assert all(set(row) == {"id", "name", "LABEL"} for row in rest)
    assert nodes.renamed["area (km2)"] == "area_km2_2"


def test_what_is_known_to_be_wrong_is_no_fact(tmp_path: Path) -> None:
    graph = odd_graph()
    wrong = replace(graph, negatives=graph.train[:1])  # a dataset may contradict itself
    assert write_graph(tmp_path, wrong, predicted()) == 1
    rows = read_rows(tmp_path / "relationships.csv")
    assert [(it["START_ID"], it["END_ID"]) for it in rows] == [("e1", "e2"), ("e4", "e5")]


def test_headers_say_their_types(tmp_path: Path) -> None:
    header = NodeTable(odd_graph(), odd_dataset(tmp_path / "data")).header
    assert header[:3] == ["id:ID", "name", ":LABEL"]
    for column in ("text", "motto:string[]", "image:string[]", "population:double", "big:long"):
        assert column in header
    assert "huge:string" in header


def test_lists_are_separated_by_a_semicolon_where_none_holds_it() -> None:
    content = EntityContent(texts={"text": {"e0": ["a", "b"]}, "other": {"e1": ["c; d"]}})
    nodes = NodeTable(odd_graph(), content)
    assert nodes.array_delimiter == ";"
    first, second, *_ = nodes.rows()
    assert first[2:] == ("Entity;Country;a_b_2", "a;b", "")
    assert second[2:] == ("Entity;a_b", "", "c; d")


WORDS = st.text(st.sampled_from('ab_ 1:;|,"\r\n\t\0é🦊'), min_size=1, max_size=4)
LISTS = st.lists(WORDS.map(str.strip).filter(bool), min_size=1, max_size=3, unique=True)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(WORDS, LISTS, max_size=3),
    st.lists(WORDS, max_size=4, unique=True),
    st.lists(WORDS, min_size=6, max_size=6),
)
@example({"a": ["x;y|z", "w"]}, ["a", "A", "a ", "a:b", "name", "id"], ["Entity", *"a;|a_"])
def test_whatever_things_are_called(
    texts: dict[str, list[str]], attributes: list[str], kinds: list[str]
) -> None:
    content = EntityContent(
        texts={field: {"e0": listed} for field, listed in texts.items()},
        numbers={attribute: {"e1": row} for row, attribute in enumerate(attributes)},
    )
    graph = replace(odd_graph(), kinds=tuple((kind,) for kind in kinds))
    nodes = NodeTable(graph, content)
    with tempfile.TemporaryDirectory() as folder:
        write_graph(Path(folder), graph, (), nodes)
        first, second, *rest = rows = read_rows(Path(folder, "nodes.csv"), nodes.array_delimiter)
    found = [it for name, it in first.items() if name not in ("id", "name", "LABEL")]
    assert found == [it if len(it) > 1 else it[0] for it in texts.values()]
    numbers = [it for name, it in second.items() if name not in ("id", "name", "LABEL")]
    assert numbers == list(range(len(attributes)))
    assert len({tuple(row["LABEL"]) for row in rows}) == len(set(kinds))
    assert all(len(row["LABEL"]) <= 2 for row in rest)


def test_a_graph_without_kinds_has_one_label(tmp_path: Path) -> None:
    write_graph(tmp_path, replace(odd_graph(), kinds=()), ())
    assert [row["LABEL"] for row in read_rows(tmp_path / "nodes.csv")] == [["Entity"]] * len(IDS)


def test_a_query_for_a_relation_finds_no_guess(tmp_path: Path) -> None:
    assert write_graph(tmp_path, odd_graph(), predicted()) == 1
    *facts, guess = read_rows(tmp_path / "relationships.csv")
    assert [(it["START_ID"], it["TYPE"], it["END_ID"]) for it in facts] == [
        ("e0", "capital of", "e1"),
        ("e1", "capital of", "e2"),
    ]
    assert [it.get("confidence") for it in facts] == [None, 0.7]
    assert not any(it["predicted"] for it in facts)
    assert guess == {
        "START_ID": "e4",
        "END_ID": "e5",
        "TYPE": "PREDICTED",
        "relation": "capital of",
        "predicted": True,
        "probability": 0.25,
        "weight_text": 0.75,
        "weight_a_b": 0.25,
    }


def test_asserted_predictions_have_the_type_of_facts(tmp_path: Path) -> None:
    write_graph(tmp_path, odd_graph(), predicted(), asserts=True)
    guess = read_rows(tmp_path / "relationships.csv")[-1]
    assert (guess["TYPE"], guess["predicted"], guess["probability"]) == ("capital of", True, 0.25)


def test_a_relation_of_that_name_is_not_taken_for_a_guess(tmp_path: Path) -> None:
    relations = ("PREDICTED",)
    write_graph(tmp_path, odd_graph(relations), predicted(relations))
    rows = read_rows(tmp_path / "relationships.csv")
    assert [(row["TYPE"], row["predicted"]) for row in rows] == [
        ("PREDICTED", False),
        ("PREDICTED", False),
        ("PREDICTED_2", True),
    ]


def test_files_of_the_earlier_form_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("id:ID,name,:LABEL\na,a,Entity\n")
    old = ":START_ID,:END_ID,:TYPE,predicted:boolean,probability:double,rule\na,a,r,false,,\n"
    (tmp_path / "relationships.csv").write_text(old)
    assert write_graph(tmp_path, odd_graph(), predicted()) == 1
    assert write_graph(tmp_path, odd_graph(), predicted(), asserts=True) == 1
    (tmp_path / "nodes.csv").write_text("id:ID,label\na,mine\n")
    with pytest.raises(Neo4jError, match=r"nodes\.csv: found another file"):
        write_graph(tmp_path, odd_graph(), ())


def test_the_command_for_neo4j_names_the_delimiter(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    words = shlex.split(import_command(folder, "\ue000"))
    assert words[:4] == ["neo4j-admin", "database", "import", "full"]
    assert f"--nodes={folder}/nodes.csv" in words
    assert "--array-delimiter=U+E000" in words
    assert not any("array" in word for word in shlex.split(import_command(folder)))


@pytest.fixture
def run(project: Path) -> Path:
    return project / "data/runs/newest"


def test_a_run_has_its_media(project: Path, run: Path, tmp_path: Path) -> None:
    command = mocme("export", "neo4j", tmp_path / "out", "--run", run, "-k", 2, "--json")
    assert command.exit_code == 0, command.stderr
    assert "neo4j-admin database import full" in command.stderr
    assert set(command.json) == {"written", "predicted"}
    nodes = read_rows(tmp_path / "out/nodes.csv")
    with_pictures = [node for node in nodes if "image" in node]
    assert with_pictures
    listed = {project / path for node in with_pictures for path in node["image"]}
    assert {path.name for path in listed if not path.is_file()} == {"lost.jpg"}, "as listed"
    assert any(node.get("text") for node in nodes)
    assert any(isinstance(it, float) for node in nodes for it in node.values())
    relations = set(Predictor(run).graph.relations)
    rows = read_rows(tmp_path / "out/relationships.csv")
    guesses = [row for row in rows if row["predicted"]]
    assert len(guesses) == command.json["predicted"] > 0
    assert {row["TYPE"] for row in guesses} == {"PREDICTED"}
    assert {row["relation"] for row in guesses} <= relations
    frame = pandas.read_csv(tmp_path / "out/nodes.csv", dtype=str, keep_default_na=False)
    assert list(frame["id:ID"]) == [node["id"] for node in nodes]


def test_asserting_is_an_option(run: Path, tmp_path: Path) -> None:
    command = mocme("export", "neo4j", tmp_path / "out", "--run", run, "-k", 2, "--assert")
    assert command.exit_code == 0, command.stderr
    assert "PREDICTED" not in (tmp_path / "out/relationships.csv").read_text(encoding="utf-8")


def test_without_its_dataset_a_run_has_the_graph_alone(
    project: Path, run: Path, tmp_path: Path
) -> None:
    (project / "entities.jsonl").unlink()
    for name in ("media", "train.tsv"):
        shutil.rmtree(project / name, ignore_errors=True)
    for words in (["neo4j", tmp_path / "out"], ["ntriples", tmp_path / "out.nt"]):
        command = mocme("export", *words, "--run", run, "-k", 1)
        assert command.exit_code == 0, command.stderr
        assert command.stderr.count("no texts, numbers and media: ") == 1
    assert read_rows(tmp_path / "out/nodes.csv")
