"""What other programs read: N-Triples, Neo4j's pair of files, embeddings."""

import csv
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from small_runs import mocme

from mocme.exporting.iris import iri
from mocme.exporting.n_triples import lines_of
from model.prediction.answers import PredictedTriple
from model.prediction.predictor import Predictor
from storage.datasets.graph import SPLITS

# https://www.w3.org/TR/n-triples/#n-triples-grammar, without language tags
IRI = r"<[^\x00-\x20<>\"{}|^`\\]*>"
TEXT = r'"(?:[^\x22\x5C\x0A\x0D]|\\[tbnrf"\'\\])*"'
LINE = re.compile(rf"(?:{IRI}|_:\w+) {IRI} (?:{IRI}|_:\w+|{TEXT}(?:\^\^{IRI})?) \.")


def triple(head: str, relation: str = "made of", tail: str = "wood") -> PredictedTriple:
    return PredictedTriple(
        head, head, relation, tail, tail, 0.25, {"text": 0.75, "a b": 0.25}, {}, (), None
    )


class TestNTriples:
    @pytest.mark.parametrize(
        "name",
        [
            "plain",
            "two words",
            'q"uote',
            "<tag>",
            "back\\slash",
            "line\nbreak",
            "é→日本",
            "a%20b",
            "",
        ],
    )
    def test_any_name_is_by_the_grammar_and_comes_back(self, name: str) -> None:
        (lines,) = lines_of([triple(name)], asserts=True)
        assert all(LINE.fullmatch(line) for line in lines), lines
        written = lines[0].split(" ")[0]
        assert unquote(written.removeprefix("<urn:mocme:entity:").removesuffix(">")) == name

    @pytest.mark.parametrize("name", ["http://dbpedia.org/resource/M%C3%BCnchen", "urn:isbn:1"])
    def test_what_is_an_iri_stays_itself(self, name: str) -> None:
        assert iri("entity", name) == f"<{name}>"

    def test_an_iri_cannot_end_early(self) -> None:
        assert re.fullmatch(IRI, iri("entity", "http://x/> <http://evil"))

    def test_a_statement_tells_of_its_triple(self) -> None:
        first, second = lines_of([triple("a"), triple("b")], asserts=True)
        assert first[0] == "<urn:mocme:entity:a> <urn:mocme:relation:made%20of> " + (
            "<urn:mocme:entity:wood> ."
        )
        double = "^^<http://www.w3.org/2001/XMLSchema#double> ."
        assert f'_:t0 <urn:mocme:probability> "0.25"{double}' in first
        assert f'_:t0 <urn:mocme:weight:a%20b> "0.25"{double}' in first
        assert sum("#label" in line for line in [*first, *second]) == 3, "each name once"
        assert not set(first) & set(second)

    def test_a_run_writes_them(self, project: Path, tmp_path: Path) -> None:
        run = project / "data/runs/newest"
        out = tmp_path / "found.nt"
        command = mocme("predict", "--run", run, "--out", out, "-k", 2, "--json")
        assert command.exit_code == 0, command.stderr
        lines = out.read_text(encoding="utf-8").splitlines()
        assert all(LINE.fullmatch(line) for line in lines)
        assert command.json["triples"] == sum("#Statement>" in line for line in lines) > 0
        rules = sum(it.rule is not None for it in Predictor(run).missing_triples(k=2))
        for predicate in ("<urn:mocme:rule>", "<urn:mocme:rule_confidence>"):
            assert sum(predicate in line for line in lines) == rules > 0


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["nodes.csv", "relationships.csv"])
def test_neo4j_replaces_no_file_of_somebody_else(project: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "neo4j"
    out.mkdir()
    (out / name).write_text("id,name\n1,mine\n")
    command = mocme("export", "neo4j", out, "--run", project / "data/runs/newest")
    assert command.exit_code == 2
    assert f"{name}: found another file" in command.stderr
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "id,name\n1,mine\n"


def test_neo4j_gets_the_graph_and_what_it_lacks(project: Path, tmp_path: Path) -> None:
    run, out = project / "data/runs/newest", tmp_path / "new" / "neo4j"
    command = mocme("export", "neo4j", out, "--run", run, "-k", 3, "--json")
    assert command.exit_code == 0, command.stderr
    predictor = Predictor(run)
    graph, expected = predictor.graph, list(predictor.missing_triples(k=3))
    assert command.json == {"written": str(out), "predicted": len(expected)}
    nodes = rows_of(out / "nodes.csv")
    assert [node["id:ID"] for node in nodes] == list(graph.entities)
    assert [node["name"] for node in nodes] == list(graph.names)
    rows = rows_of(out / "relationships.csv")
    predicted = [row for row in rows if row["predicted:boolean"] == "true"]
    found = [(row[":START_ID"], row["relation"], row[":END_ID"]) for row in predicted]
    assert found == [(triple.head, triple.relation, triple.tail) for triple in expected]
    for row, triple_ in zip(predicted, expected, strict=True):
        assert float(row["probability:double"]) == triple_.probability
        assert float(row["weight_text:double"]) == triple_.modality_weights["text"]
        rule = triple_.rule
        told = (str(rule), str(rule.confidence)) if rule else ("", "")
        assert (row["rule"], row["rule_confidence:double"]) == told
    assert any(row["rule"] for row in predicted)
    assert any(not row["rule"] for row in predicted)
    known = {tuple(triple) for split in SPLITS for triple in graph.split(split).tolist()}
    assert len(rows) - len(predicted) == len(known)
    assert all(row["probability:double"] == "" for row in rows if row not in predicted)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_embeddings_score_as_the_model_does(project: Path, tmp_path: Path, suffix: str) -> None:
    run, out = project / "data/runs/newest", tmp_path / f"entities{suffix}"
    command = mocme("export", "embeddings", out, "--run", run, "--json")
    assert command.exit_code == 0, command.stderr
    predictor = Predictor(run)
    ids = (tmp_path / "entities.ids.txt").read_text(encoding="utf-8").splitlines()
    assert ids == list(predictor.graph.entities)
    if suffix == ".safetensors":
        from safetensors.numpy import load_file

        rows = load_file(out)["features"]
    else:
        rows = np.load(out, allow_pickle=False)
    assert rows.shape[0] == command.json["rows"]
    assert predictor.scoring.encoded
    for block in predictor.scoring.encoded:
        first, last = command.json["columns"][block.name]
        np.testing.assert_array_equal(rows[:, first:last], block.entities)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["neo4j", "{tmp}/file/below"], "found Not a directory; allowed: a folder that can be"),
        (["embeddings", "{tmp}/x.csv"], "found the suffix '.csv'; allowed: .npy, .safetensors"),
        (["embeddings", "{tmp}/none/x.npy"], "No such file or directory"),
    ],
)
def test_bad_places_are_one_line(
    project: Path, tmp_path: Path, words: list[str], reason: str
) -> None:
    (tmp_path / "file").touch()
    arguments = [word.format(tmp=tmp_path) for word in words]
    command = mocme("export", *arguments, "--run", project / "data/runs/newest")
    assert command.exit_code == 2
    assert reason in command.stderr
